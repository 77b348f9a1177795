"""The encoder as a PyTorch module, built as config.json says, with the weights of model.safetensors.

    from encoder import load, load_head
    h = load()(images)  # images (N, 3, S, S) in [0, 1], not normalised
    z = load_head()(h)  # where there is a head.safetensors

It needs torch and safetensors alone. Parameters have torchvision's names, those of selective kernels timm's for the like."""
import json
import pathlib

from torch import nn

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}


def conv(inputs, outputs, size, stride=1):
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class Mix(nn.Module):
    """A selective kernel's two streams (N, 2C, H, W), mixed by weights of each image (N, C, H, W)."""

    def __init__(self, channels):
        super().__init__()
        kept = max(channels // 16, 32)
        self.fc_reduce, self.bn, self.relu = nn.Linear(channels, kept, bias=False), nn.BatchNorm1d(kept), nn.ReLU()
        self.fc_select = nn.Linear(kept, 2 * channels, bias=False)

    def forward(self, x):
        streams = x.unflatten(1, (2, -1))
        weights = self.fc_select(self.relu(self.bn(self.fc_reduce(streams.sum(1).mean((2, 3))))))
        return (streams * weights.unflatten(1, (2, -1)).softmax(1)[..., None, None]).sum(1)


def average(stride):
    """2×2 pooling that keeps the size or halves it; google-research/simclr counts zeros beyond the border where it halves."""
    padding = nn.ZeroPad2d if stride > 1 else nn.ReplicationPad2d
    return nn.Sequential(padding((0, 1, 0, 1)), nn.AvgPool2d(2, stride))


class Block(nn.Module):
    """A basic block (depth 18 and 34) or a bottleneck with its stride on the 3×3 convolution."""

    def __init__(self, inputs, inner, outputs, stride, bottleneck, project, selective):
        super().__init__()
        self.relu = nn.ReLU()
        self.attn = Mix(inner) if selective else None
        if bottleneck:
            streams = 2 * inner if selective else inner
            shapes = ((inputs, inner, 1, 1), (inner, streams, 3, stride), (inner, outputs, 1, 1))
        else:
            shapes = ((inputs, inner, 3, stride), (inner, outputs, 3, 1))
        self.layers = len(shapes)
        for i, shape in enumerate(shapes, 1):
            setattr(self, f"conv{i}", conv(*shape))
            setattr(self, f"bn{i}", nn.BatchNorm2d(shape[1]))
        if not project:
            self.downsample = None
        elif selective:
            self.downsample = nn.Sequential(average(stride), conv(inputs, outputs, 1), nn.BatchNorm2d(outputs))
        else:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = x
        for i in range(1, self.layers + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.layers:
                y = self.relu(y)
            if i == 2 and self.attn is not None:
                y = self.attn(y)
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def deep_stem(half, outputs):
    """ResNet-D's three 3×3 convolutions."""
    parts = [conv(3, half, 3, 2), nn.BatchNorm2d(half), nn.ReLU(), conv(half, half, 3), nn.BatchNorm2d(half), nn.ReLU()]
    return nn.Sequential(*parts, conv(half, outputs, 3))


class Encoder(nn.Module):
    """Images (N, 3, S, S) to features (N, D)."""

    def __init__(self, depth, width_multiplier, stem, shortcut, selective_kernel="Disabled"):
        super().__init__()
        bottleneck, selective = depth >= 50, selective_kernel == "Enabled"
        channels = [int(base * float(width_multiplier)) for base in (64, 128, 256, 512)]
        if stem == "CIFAR":
            self.conv1 = conv(3, channels[0], 3)
        elif selective:
            self.conv1 = deep_stem(int(32 * float(width_multiplier)), channels[0])
        else:
            self.conv1 = conv(3, channels[0], 7, 2)
        self.bn1, self.relu = nn.BatchNorm2d(channels[0]), nn.ReLU()
        self.maxpool = nn.Identity() if stem == "CIFAR" else nn.MaxPool2d(3, 2, 1)
        inputs = channels[0]
        for group, (inner, count) in enumerate(zip(channels, BLOCKS[depth])):
            outputs, blocks = inner * (4 if bottleneck else 1), []
            for i in range(count):
                stride = 2 if i == 0 and group > 0 else 1
                project = stride > 1 or inputs != outputs or i == 0 and shortcut == "GoogleResearch"
                blocks.append(Block(inputs, inner, outputs, stride, bottleneck, project, selective))
                inputs = outputs
            setattr(self, f"layer{group + 1}", nn.Sequential(*blocks))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for group in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = group(x)
        return x.mean((2, 3))


def head(features, type, layers=1, dimension=0, output_normalization=None):
    """The projection head: features (N, D) to z (N, dimension)."""
    if type == "None":
        return nn.Identity()
    parts = []
    for _ in range(layers - 1):
        parts += [nn.Linear(features, features, bias=False), nn.BatchNorm1d(features), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(features, dimension, bias=False), nn.BatchNorm1d(dimension))


def read(directory):
    directory = pathlib.Path(directory or __file__).resolve()
    directory = directory.parent if directory.is_file() else directory
    return directory, json.loads((directory / "config.json").read_text())


def load(directory=None):
    """The encoder of a directory, by default this file's, in inference mode."""
    from safetensors.torch import load_file

    directory, config = read(directory)
    architecture = {k: v for k, v in config["simclr"].items() if k != "projection_head"}
    encoder = Encoder(**architecture)
    encoder.load_state_dict(load_file(directory / "model.safetensors"))  # strict: every name and shape fits
    return encoder.eval()


def load_head(directory=None):
    """The projection head that was trained with the encoder, in inference mode."""
    from safetensors.torch import load_file

    directory, config = read(directory)
    g = head(config["num_features"], **config["simclr"]["projection_head"])
    if config["simclr"]["projection_head"]["type"] != "None":
        g.load_state_dict(load_file(directory / "head.safetensors"))
    return g.eval()
