#!/usr/bin/env python3
"""Writes reference.json: what Pillow 13.0.0, PyTorch 2.15.0 and torchvision 0.29.2 make of small images.

usage: pip install pillow torch torchvision numpy; python3 reference.py > reference.json
"""
import json

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import functional as F
from torchvision.transforms.v2 import functional as F2


def noise(w, h):
    """Bytes of a linear congruential generator: the same as noise() of bench_test.go."""
    x, out = 1, []
    for _ in range(3 * w * h):
        x = (x * 1664525 + 1013904223) % 2**32
        out.append(x >> 24)
    return np.array(out, np.uint8).reshape(h, w, 3)


def resized(w, h, box, size, name):
    x, y, bw, bh = box
    part = noise(w, h)[y:y + bh, x:x + bw].astype(np.float32)  # mode F: no rounding between the passes
    planes = [np.asarray(Image.fromarray(part[:, :, c]).resize((size, size), getattr(Image.Resampling, name.upper()))) for c in range(3)]
    return dict(w=w, h=h, box=box, size=size, filter=name, pixels=[round(float(v), 7) for v in (np.clip(planes, 0, 255) / 255).ravel()])


cases = [(9, 7, [0, 0, 9, 7], 6), (9, 7, [2, 1, 5, 4], 6), (9, 7, [3, 2, 3, 2], 5), (20, 18, [1, 2, 17, 13], 4), (6, 6, [0, 0, 6, 6], 6), (12, 3, [0, 0, 12, 3], 5)]
resize = [resized(*c, f) for c in cases for f in ('Bicubic', 'Bilinear')]

image = noise(4, 2)
image[1, 3] = 77  # a grey pixel has no hue
tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255
color = [dict(operation=op, factor=f, pixels=[round(v, 7) for v in getattr(F, 'adjust_' + op)(tensor, f).flatten().tolist()])
         for op, factors in dict(brightness=(0.4, 1.7), contrast=(0.3, 1.6), saturation=(0.2, 1.8), hue=(-0.17, 0.05, 0.4)).items() for f in factors]
color.append(dict(operation='grey', factor=0, pixels=[round(v, 7) for v in F.rgb_to_grayscale(tensor, 3).flatten().tolist()]))

square = torch.from_numpy(noise(9, 9)).permute(2, 0, 1).float() / 255
kernel = torch.tensor([[-1., 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
both = torch.stack((kernel, kernel.t()))[:, None]
gradient = torch.nn.functional.conv2d(torch.nn.functional.pad(square[:, None], (1, 1, 1, 1), 'reflect'), both)
studied = [
    dict(operation='sobel', pixels=gradient.square().sum(1).sqrt().clamp(max=1)),
    dict(operation='cutout', factor=[4, -1, 7], pixels=F2.erase(square, 7, 0, 2, 3, torch.tensor(0.5))),
    *(dict(operation='rotation', factor=[k], pixels=F.rotate(square, 90 * k)) for k in (1, 2, 3)),
]
for s in studied:
    s['pixels'] = [round(v, 7) for v in s['pixels'].flatten().tolist()]

print(json.dumps(dict(studied=studied, resize=resize, color=color, image=[int(v) for v in image.ravel()])).replace('}, {', '},\n{'))
