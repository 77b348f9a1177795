#!/usr/bin/env python3
"""Writes pytorch.json: what PyTorch computes for narrow networks whose weights follow a formula, in float64, and
what torchvision's networks are made of. Needs torch, torchvision and numpy (hack/bench has them):

    python testdata/pytorch.py
"""
import hashlib
import json
import math
import pathlib
import sys

import numpy
import torch
import torchvision

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here / "../../export"))
from encoder import Encoder  # noqa: E402 what a run writes beside its encoder

CASES = {
    "ResNet-18, CIFAR stem": (18, "0.0625", "CIFAR", "GoogleResearch", "Disabled", 16),
    "ResNet-34, ImageNet stem": (34, "0.0625", "ImageNet", "Torchvision", "Disabled", 40),
    "ResNet-50, ImageNet stem": (50, "0.0625", "ImageNet", "Torchvision", "Disabled", 40),
    "ResNet-50, CIFAR stem": (50, "0.0625", "CIFAR", "Torchvision", "Disabled", 16),
    "ResNet-50 SK, ImageNet stem": (50, "0.0625", "ImageNet", "Torchvision", "Enabled", 40),
    "ResNet-50 SK, CIFAR stem": (50, "0.0625", "CIFAR", "GoogleResearch", "Enabled", 14),
}
IMAGES = 6


def pattern(name, shape):
    """Values in [-1, 1) of a tensor by its name: the same in Go, exactly."""
    seed = sum((i + 1) * ord(c) for i, c in enumerate(name))
    x = numpy.arange(math.prod(shape), dtype=numpy.uint64) + numpy.uint64(seed)
    mask = numpy.uint64(0xFFFFFFFF)
    x = (x * numpy.uint64(2654435761)) & mask
    x ^= x >> numpy.uint64(16)
    x = (x * numpy.uint64(2246822519)) & mask
    x ^= x >> numpy.uint64(13)
    return torch.from_numpy(x.astype(numpy.float64) / 2**31 - 1).reshape(shape)


def value(name, shape):
    """A weight of variance 1/fan-in, γ and a variance near 1, β and a mean near 0."""
    v = pattern(name, shape)
    if len(shape) > 1:
        return v * math.sqrt(3 / math.prod(shape[1:]))
    return v / 4 if name.endswith((".bias", "_mean")) else 1 + v / 4


def case(depth, width, stem, shortcut, selective, size):
    net = Encoder(depth, width, stem, shortcut, selective)
    state = {n: t if n.endswith("tracked") else value(n, tuple(t.shape)) for n, t in net.state_dict().items()}
    net.load_state_dict(state)
    x = 0.5 + pattern("images", (IMAGES, 3, size, size)) / 2
    inference = net.eval()(x).detach()
    h = net.train()(x)
    (h * pattern("dh", tuple(h.shape))).sum().backward()
    return {
        "depth": depth, "width": width, "stem": stem, "shortcut": shortcut, "selectiveKernel": selective, "imageSize": size,
        # of the first image; in training mode it depends on all
        "inference": inference[0].tolist(), "training": h[0].tolist(),
        # of each parameter's gradient the inner product with a pattern
        "gradients": {n: (p.grad * pattern("d" + n, tuple(p.shape))).sum().item() for n, p in net.named_parameters()},
    }


def published(depth):
    """torchvision's network, after a check that ours loads its weights and computes the same."""
    net = torchvision.models.get_model(f"resnet{depth}").eval()
    listing = "".join(f"{n} {list(t.shape)}\n" for n, t in net.state_dict().items())
    parameters = sum(p.numel() for p in net.parameters())
    net.fc = torch.nn.Identity()
    ours = Encoder(depth, "1", "ImageNet", "Torchvision").eval()
    ours.load_state_dict(net.state_dict())
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(ours(x), net(x), rtol=1e-10, atol=1e-10)
    return {"tensors": listing.count("\n"), "parameters": parameters, "sha256": hashlib.sha256(listing.encode()).hexdigest()}


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    result = {
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
        "networks": {name: case(*c) for name, c in CASES.items()},
        "torchvision": {str(d): published(d) for d in (18, 34, 50, 101, 152)},
    }
    (here / "pytorch.json").write_text(json.dumps(result, indent=1) + "\n")
