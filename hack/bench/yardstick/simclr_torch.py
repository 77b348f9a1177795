#!/usr/bin/env python3
"""SimCLR in PyTorch, on CPUs, end to end: what simclr-trainer is compared with.

Two views of each image by torchvision in loader workers, a ResNet-18 with a stem for small images, NT-Xent and LARS;
then kNN and a linear classifier on the frozen features. Images are DIR/train/<class>/<file> and DIR/test/<class>/<file>,
all of one size. At each epoch's end, and at the end, it writes a line of JSON.
"""

import argparse
import glob
import json
import math
import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from PIL import Image
from torchvision import transforms
from torchvision.transforms import v2

# Channels and stride of the blocks.
BLOCKS = ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, help="directory of train/<class>/ and test/<class>/")
    parser.add_argument("--limit", type=int, default=0, help="images, the first of each class; of the test ones too")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=256, help="source images of a step")
    parser.add_argument("--width", type=float, default=0.25, help="factor of all channels")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 where autocast finds it safe")
    parser.add_argument("--compile", action="store_true", help="torch.compile of the network")
    parser.add_argument("--transforms", default="v1", choices=("v1", "v2", "v2-tensor"), help="torchvision's: of Pillow's images, or of tensors")
    parser.add_argument("--lr", type=float, default=1.0, help="peak learning rate; linear warm-up, then a cosine to 0")
    parser.add_argument("--warmup", type=float, default=1, help="epochs of warm-up")
    parser.add_argument("--wd", type=float, default=1e-4, help="weight decay of matrices and kernels")
    parser.add_argument("--temp", type=float, default=0.5, help="temperature of NT-Xent")
    parser.add_argument("--strength", type=float, default=0.5, help="of the colour distortion")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="compute threads")
    parser.add_argument("--workers", type=int, default=2, help="processes that make views")
    parser.add_argument("--out", default="", help="file of the results")
    return parser.parse_args()


def read(data, split, limit):
    """All images of a split as one array, and their classes."""
    classes = sorted(os.listdir(os.path.join(data, split)))
    images, labels = [], []
    for label, name in enumerate(classes):
        files = sorted(glob.glob(os.path.join(data, split, name, "*")))
        if limit:
            files = files[: limit // len(classes)]
        for file in files:
            images.append(np.asarray(Image.open(file).convert("RGB")))
            labels.append(label)
    return np.stack(images), torch.tensor(labels)


class TwoViews(torch.utils.data.Dataset):
    """Appendix A: crop and resize, flip, colour distortion; no blur at this size, as in the paper's B.9."""

    def __init__(self, images, strength, kind):
        t = transforms if kind == "v1" else v2
        self.images, self.decoded = images, Image.fromarray
        last = [transforms.ToTensor()] if kind == "v1" else [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        if kind == "v2-tensor":
            self.images, self.decoded = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), lambda image: image
            last = last[1:]
        self.augment = t.Compose(
            [
                t.RandomResizedCrop(images.shape[1]),
                t.RandomHorizontalFlip(),
                t.RandomApply([t.ColorJitter(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength)], 0.8),
                t.RandomGrayscale(0.2),
                *last,
            ]
        )

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = self.decoded(self.images[i])
        return self.augment(image), self.augment(image)


class Block(nn.Module):
    """Basic block of a ResNet, with torchvision's shortcut."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)), inplace=True)


class Net(nn.Module):
    """ResNet-18 with the stem of the paper's B.9, and the projection head."""

    def __init__(self, width):
        super().__init__()
        channels = int(64 * width)
        self.conv = nn.Conv2d(3, channels, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        blocks = []
        for c, stride in BLOCKS:
            blocks.append(Block(channels, int(c * width), stride))
            channels = int(c * width)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.Linear(channels, channels, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Linear(channels, 128, bias=False),
            nn.BatchNorm1d(128),
        )

    def encode(self, x):
        return self.blocks(F.relu(self.norm(self.conv(x)))).mean((2, 3))

    def forward(self, x):
        return self.head(self.encode(x))


class LARS(torch.optim.Optimizer):
    """LARS with momentum 0.9 and trust coefficient 0.001; vectors are neither decayed nor adapted."""

    def __init__(self, parameters, lr, wd):
        super().__init__(parameters, dict(lr=lr, wd=wd))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                update = p.grad
                if p.ndim > 1:
                    update = update + group["wd"] * p
                    w, u = p.norm(), update.norm()
                    update = update * (0.001 * w / u if w > 0 and u > 0 else 1.0)
                momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                momentum.mul_(0.9).add_(update, alpha=group["lr"])
                p.sub_(momentum)


def nt_xent(z, temperature):
    """Equation 1 of the paper, its mean over both views of a batch."""
    z = F.normalize(z.float(), dim=1)
    n = len(z) // 2
    similarity = z @ z.t() / temperature - 1e9 * torch.eye(2 * n)
    return F.cross_entropy(similarity, torch.cat((torch.arange(n, 2 * n), torch.arange(n))))


def learning_rate(step, warmup, total, peak):
    if step < warmup:
        return peak * step / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def train(net, images, o):
    """Pretrains, and gives what it told at the epochs' ends."""
    optimizer = LARS(net.parameters(), 0, o.wd)
    forward = torch.compile(net) if o.compile else net
    loader = torch.utils.data.DataLoader(
        TwoViews(images, o.strength, o.transforms),
        o.batch,
        True,
        num_workers=o.workers,
        drop_last=True,
        persistent_workers=o.workers > 0,
    )
    warmup, total = o.warmup * len(loader), o.epochs * len(loader)
    step, epochs = 0, []
    for epoch in range(o.epochs):
        start, loss_sum = time.time(), 0.0
        for first, second in loader:
            optimizer.param_groups[0]["lr"] = learning_rate(step, warmup, total, o.lr)
            x = torch.cat((first, second)).to(memory_format=torch.channels_last)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=o.bf16):
                z = forward(x)
            loss = nt_xent(z, o.temp)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
            step += 1
        seconds = time.time() - start
        epochs.append(dict(epoch=epoch + 1, step=step, loss=loss_sum / len(loader), seconds=seconds,
                           imagesPerSecond=len(loader) * o.batch / seconds))
        print(json.dumps(epochs[-1]), flush=True)
    return epochs


@torch.no_grad()
def features(net, images):
    """The encoder's output for whole images."""
    batches = []
    for i in range(0, len(images), 500):
        x = torch.from_numpy(images[i : i + 500]).permute(0, 3, 1, 2).float().div(255)
        batches.append(net.encode(x.to(memory_format=torch.channels_last)))
    return torch.cat(batches)


def knn(train_x, train_y, test_x, test_y, neighbors=200, temperature=0.1):
    """Top-1 accuracy by the votes of the nearest training images, weighted by exp(cosine/temperature)."""
    train_x, test_x = F.normalize(train_x, dim=1), F.normalize(test_x, dim=1)
    classes, right = int(train_y.max()) + 1, 0
    for i in range(0, len(test_x), 500):
        similarity, nearest = (test_x[i : i + 500] @ train_x.t()).topk(min(neighbors, len(train_x)))
        votes = torch.zeros(len(similarity), classes)
        votes.scatter_add_(1, train_y[nearest], (similarity / temperature).exp())
        right += (votes.argmax(1) == test_y[i : i + 500]).sum().item()
    return right / len(test_x)


def linear(train_x, train_y, test_x, test_y):
    """Top-1 accuracy of multinomial logistic regression on standardised features, by L-BFGS."""
    mean, deviation = train_x.mean(0), train_x.std(0) + 1e-6
    train_x, test_x = (train_x - mean) / deviation, (test_x - mean) / deviation
    model = nn.Linear(train_x.shape[1], int(train_y.max()) + 1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(train_x), train_y) + 1e-4 * model.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return (model(test_x).argmax(1) == test_y).float().mean().item()


def main():
    o = arguments()
    torch.manual_seed(o.seed)
    torch.set_num_threads(o.threads)
    train_images, train_y = read(o.data, "train", o.limit)
    test_images, test_y = read(o.data, "test", o.limit)
    net = Net(o.width).to(memory_format=torch.channels_last)
    epochs = train(net, train_images, o)
    net.eval()
    train_x, test_x = features(net, train_images), features(net, test_images)
    result = dict(
        torch=torch.__version__,
        torchvision=torchvision.__version__,
        threads=torch.get_num_threads(),
        cpuCapability=torch.backends.cpu.get_cpu_capability(),
        config=vars(o),
        epochs=epochs,
        knnTop1=knn(train_x, train_y, test_x, test_y),
        linearTop1=linear(train_x, train_y, test_x, test_y),
    )
    print(json.dumps({k: result[k] for k in ("knnTop1", "linearTop1")}))
    if o.out:
        with open(o.out, "w") as f:
            json.dump(result, f)


if __name__ == "__main__":
    main()
