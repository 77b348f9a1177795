#!/usr/bin/env python3
"""torchvision's transforms on one core: what trainer/augment is compared with.

Two views of each image by appendix A of the paper: crop and resize, flip, colour distortion, and above 32 pixels blur.
Every way that torchvision has is timed: transforms v1 and v2 on PIL images, v2 on tensors. It writes a line of JSON for
each: source images per second of the process's CPU time.
"""

import argparse
import glob
import io
import json
import os
import time

import torch
import torchvision
from PIL import Image
from torchvision import transforms as v1
from torchvision.transforms import functional, v2


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--files", required=True, help="directory of JPEG files")
    parser.add_argument("--size", type=int, required=True, help="of a view, in pixels")
    parser.add_argument("--strength", type=float, required=True, help="of the colour distortion")
    parser.add_argument("--decoded", action="store_true", help="images lie decoded in memory")
    parser.add_argument("--seconds", type=float, default=2, help="of each way")
    return parser.parse_args()


def transform(t, o, *last):
    """The paper's transforms out of the module t."""
    s = o.strength
    steps = [
        t.RandomResizedCrop(o.size, antialias=True),
        t.RandomHorizontalFlip(),
        t.RandomApply([t.ColorJitter(0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s)], 0.8),
        t.RandomGrayscale(0.2),
    ]
    if o.size > 32:
        steps.append(t.RandomApply([t.GaussianBlur(o.size // 10 // 2 * 2 + 1, (0.1, 2.0))], 0.5))
    return t.Compose(steps + list(last))


def pil(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def tensor(data):
    return torchvision.io.decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8))


def tensor_by_pil(data):
    return functional.pil_to_tensor(pil(data))


def ways(o):
    """Each way's name, decoder and transform."""
    scaled = v2.ToDtype(torch.float32, scale=True)
    return [
        ("v1, PIL", pil, transform(v1, o, v1.ToTensor())),
        ("v2, PIL", pil, transform(v2, o, v2.ToImage(), scaled)),
        ("v2, tensors", tensor, transform(v2, o, scaled)),
        ("v2, tensors by PIL", tensor_by_pil, transform(v2, o, scaled)),
    ]


def rate(files, decode, augment, o):
    images = [decode(f) for f in files] if o.decoded else files
    count, start = 0, time.process_time()
    while time.process_time() - start < o.seconds:
        for image in images[: max(1, len(images) // 4)]:
            image = image if o.decoded else decode(image)
            augment(image)
            augment(image)
            count += 1
        images = images[1:] + images[:1]
    return count / (time.process_time() - start)


def main():
    o = arguments()
    torch.set_num_threads(1)
    files = []
    for name in sorted(glob.glob(os.path.join(o.files, "*.jpg"))):
        with open(name, "rb") as f:
            files.append(f.read())
    for name, decode, augment in ways(o):
        rate(files, decode, augment, argparse.Namespace(decoded=o.decoded, seconds=o.seconds / 4))  # warm
        print(json.dumps(dict(way=name, imagesPerSecond=rate(files, decode, augment, o), torchvision=torchvision.__version__)), flush=True)


if __name__ == "__main__":
    main()
