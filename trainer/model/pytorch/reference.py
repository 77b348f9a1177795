#!/usr/bin/env python3
"""Writes reference.json: what PyTorch 2.15.0 and torchvision 0.29.2 compute in one contrastive step, in float64.

The encoders are torchvision's own, with fewer channels; NT-Xent is cross_entropy over similarities without the diagonal
(equation 1 of the paper), and the update is written down from google-research/simclr's lars_optimizer.py.

usage: pip install torch torchvision numpy; python3 reference.py > reference.json
"""

import json
import math

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1, conv3x3

BLOCKS = {18: (BasicBlock, [2, 2, 2, 2]), 50: (Bottleneck, [3, 4, 6, 3])}
PLACES = 16  # values of a tensor that are written down
MOMENTUM, TRUST_COEFFICIENT = 0.9, 0.001


def uniform(name, count):
    """Numbers in [0, 1) of a linear congruential generator that starts with the FNV-1a hash of a name: 24 bits each."""
    x = 2166136261
    for byte in name.encode():
        x = ((x ^ byte) * 16777619) % 2**32
    out = []
    for _ in range(count):
        x = (x * 1664525 + 1013904223) % 2**32
        out.append((x >> 8) / 2**24)
    return torch.tensor(out, dtype=torch.float64)


def drawn(name, shape, low, high):
    """Values between two bounds as float32 has them, so that every program can start from the same ones."""
    u = uniform(name, math.prod(shape))
    return (low + (high - low) * u).float().double().reshape(shape)


def summary(v, name):
    """The values at PLACES places, the largest magnitude, and the product with a vector of numbers in [-1, 1)."""
    v = v.detach().flatten()
    count = min(PLACES, v.numel())
    return dict(
        values=[v[i * v.numel() // count].item() for i in range(count)],
        largest=v.abs().max().item(),
        product=(v @ (2 * uniform("product:" + name, v.numel()) - 1)).item(),
    )


class AveragePool(nn.Module):
    """2×2, with what comes after the border as google-research/simclr's resnet.py has it: of stride 2 it pads with zeros
    itself, of stride 1 TensorFlow does (SAME), which leaves them out of the mean."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        def mean(v):
            return F.avg_pool2d(F.pad(v, (0, 1, 0, 1)), 2, self.stride)

        return mean(x) if self.stride == 2 else mean(x) / mean(torch.ones_like(x))


class SelectiveBottleneck(Bottleneck):
    """A bottleneck whose 3×3 convolution is google-research/simclr's SK_Conv2D, with sk_ratio 0.0625."""

    def __init__(self, inplanes, planes, stride=1, downsample=None, *rest, **more):
        super().__init__(inplanes, planes, stride, downsample, *rest, **more)
        kept = max(int(planes * 0.0625), 32)
        self.conv2, self.bn2 = conv3x3(planes, 2 * planes, stride), nn.BatchNorm2d(2 * planes)
        self.attn = nn.ModuleDict(dict(fc_reduce=conv1x1(planes, kept), bn=nn.BatchNorm2d(kept), fc_select=conv1x1(kept, 2 * planes)))
        if downsample is not None:
            self.downsample = nn.Sequential(AveragePool(stride), conv1x1(inplanes, 4 * planes), nn.BatchNorm2d(4 * planes))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        streams = torch.stack(self.relu(self.bn2(self.conv2(y))).chunk(2, 1))
        mixing = self.attn["fc_reduce"](streams.sum(0).mean((2, 3), keepdim=True))
        mixing = self.attn["fc_select"](self.relu(self.attn["bn"](mixing)))
        y = (streams * torch.stack(mixing.chunk(2, 1)).softmax(0)).sum(0)
        return self.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class Encoder(torchvision.models.ResNet):
    """torchvision's ResNet with a multiple of its channels, and where wanted a stem for small images (the paper's B.9)."""

    def __init__(self, case):
        self.width = case["width"]
        block, counts = BLOCKS[case["depth"]]
        selective = case["selectiveKernel"] == "Enabled"
        super().__init__(SelectiveBottleneck if selective else block, counts)
        stem = self.channels(64)
        self.conv1, self.bn1, self.fc = nn.Conv2d(3, stem, 7, 2, 3, bias=False), nn.BatchNorm2d(stem), nn.Identity()
        if selective:  # ResNet-D's
            half = self.channels(32)
            first = [conv3x3(3, half, 2), nn.BatchNorm2d(half), nn.ReLU(), conv3x3(half, half), nn.BatchNorm2d(half), nn.ReLU()]
            self.conv1 = nn.Sequential(*first, conv3x3(half, stem))
        if case["stem"] == "CIFAR":
            self.conv1, self.maxpool = nn.Conv2d(3, stem, 3, 1, 1, bias=False), nn.Identity()
        if case["shortcut"] == "GoogleResearch":  # its resnet.py projects in the first block of every group
            self.layer1[0].downsample = nn.Sequential(conv1x1(stem, stem), nn.BatchNorm2d(stem))

    def channels(self, base):
        return int(base * self.width)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:
            self.inplanes = self.channels(64)
        return super()._make_layer(block, self.channels(planes), blocks, stride, dilate)


def with_softplus(module):
    """Replaces every ReLU: central differences and other roundings then tell nothing of kinks."""
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, nn.Softplus())
        else:
            with_softplus(child)


def projection(case, features):
    """Dense layers with batch norm, all but the last with an activation; none at all makes z of h."""
    layers = []
    for i in range(case["headLayers"]):
        last = i == case["headLayers"] - 1
        out = case["dimension"] if last else features
        layers += [nn.Linear(features, out, bias=False), nn.BatchNorm1d(out)] + ([] if last else [nn.ReLU()])
    if layers and not case["outputShift"]:
        layers[-1].bias.requires_grad_(False)  # and zero, as it is initialised
    return nn.Sequential(*layers)


def network(case):
    encoder = Encoder(case)
    head = projection(case, encoder.layer4[-1].conv1.in_channels)
    if case["activation"] == "Softplus":
        with_softplus(encoder)
        with_softplus(head)
    net = nn.Sequential(encoder, head).double()
    names = {p: name for name, p in encoder.named_parameters()} | {p: "projection." + name for name, p in head.named_parameters()}
    parameters = {name: p for p, name in names.items() if p.requires_grad}
    norms = {name: m for name, m in encoder.named_modules() if isinstance(m, nn.BatchNorm2d)}
    norms |= {"projection." + name: m for name, m in head.named_modules() if isinstance(m, nn.BatchNorm1d)}
    return net, parameters, norms


def bounds(name, shape):
    """PyTorch's bounds of convolutions and dense layers, ±1/√fan-in; batch norm is neither 1 nor 0."""
    if len(shape) > 1:
        b = 1 / math.sqrt(math.prod(shape[1:]))
        return -b, b
    return (0.5, 1.5) if name.endswith("weight") else (-0.25, 0.25)


def nt_xent(z, temperature):
    z = F.normalize(z, dim=1)
    n = len(z) // 2
    similarity = (z @ z.t() / temperature).masked_fill(torch.eye(2 * n, dtype=torch.bool), -math.inf)
    return F.cross_entropy(similarity, torch.cat((torch.arange(n, 2 * n), torch.arange(n))))


def lars(w, g, v, rate, decay):
    """The new velocity. Batch norm is neither decayed nor adapted."""
    if w.ndim == 1:
        return MOMENTUM * v + rate * g
    g = g + decay * w
    return MOMENTUM * v + rate * TRUST_COEFFICIENT * w.norm() / g.norm() * g


def computed(case):
    net, parameters, norms = network(case)
    velocities = {}
    with torch.no_grad():
        for name, p in parameters.items():
            low, high = bounds(name, p.shape)
            p.copy_(drawn(name, p.shape, low, high))
            velocities[name] = drawn("momentum:" + name, p.shape, 0.01 * low, 0.01 * high)
    views = drawn("views", (2 * case["images"], 3, case["imageSize"], case["imageSize"]), 0, 1)
    z = net(views)
    loss = nt_xent(z, case["temperature"])
    loss.backward()
    running = {name: torch.stack((m.running_mean, m.running_var)) for name, m in norms.items()}
    after = {name: lars(p, p.grad, velocities[name], case["learningRate"], case["weightDecay"]) for name, p in parameters.items()}
    with torch.no_grad():
        for name, p in parameters.items():
            p.sub_(after[name])
        net.eval()
        features = net[0](views)
    return case | dict(
        loss=loss.item(),
        z=summary(z, "z"),
        gradients={name: summary(p.grad, name) for name, p in parameters.items()},
        velocities={name: summary(v, name) for name, v in after.items()},
        parameters={name: summary(p, name) for name, p in parameters.items()},
        running={name: summary(v, name) for name, v in running.items()},
        features=summary(features, "features"),
    )


BASE = dict(
    name="softplus", depth=18, width=1 / 8, stem="CIFAR", shortcut="Torchvision", selectiveKernel="Disabled", activation="Softplus", imageSize=16, images=8,
    headLayers=2, dimension=16, outputShift=True, temperature=0.5, learningRate=0.3, weightDecay=0.01,
)  # fmt: skip
CASES = [
    BASE,
    BASE | dict(name="ReLU", activation="ReLU"),
    BASE | dict(name="projection shortcuts, no shift", shortcut="GoogleResearch", outputShift=False, temperature=0.1),
    BASE | dict(name="linear head", headLayers=1),
    BASE | dict(name="no head", headLayers=0, dimension=64),
    BASE | dict(name="bottlenecks, ImageNet stem, three layers in the head", depth=50, width=1 / 16, stem="ImageNet", imageSize=64, headLayers=3),
    BASE | dict(name="SimCLRv2", depth=50, width=1 / 16, stem="ImageNet", selectiveKernel="Enabled", imageSize=40, headLayers=3, outputShift=False),
]

if __name__ == "__main__":
    torch.set_num_threads(1)  # the sums' order is then the same everywhere
    cases = ",\n".join(json.dumps(computed(c)).replace('}, "', '},\n "') for c in CASES)
    print(f'{{"torch": "{torch.__version__}", "torchvision": "{torchvision.__version__}", "cases": [\n{cases}\n]}}')
