#!/usr/bin/env python3
"""The contrastive step in PyTorch, on CPUs, in channels_last: what hack/bench/trainer/step is compared with.

Forward, NT-Xent, backward and LARS on the same views again and again. It tells that it is ready, then for each line with
a number on its standard input the seconds of so many steps; each answer is a line of JSON.

Several processes do it together by DistributedDataParallel over gloo, each with its own images and batch norm's statistics of
these alone: PyTorch's SyncBatchNorm is for GPUs. NT-Xent is over all images.
"""

import argparse
import json
import sys
import time

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.nn.functional as F
import torchvision


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--depth", type=int, required=True, choices=(18, 50))
    parser.add_argument("--stem", required=True, choices=("CIFAR", "ImageNet"))
    parser.add_argument("--size", type=int, required=True, help="pixels")
    parser.add_argument("--images", type=int, required=True, help="source images of a step: half its views")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "autocast", "bf16"),
                        help="autocast: bfloat16 where autocast finds it safe; bf16: all parameters, too")
    parser.add_argument("--compile", action="store_true", help="torch.compile of everything but the update")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that do the step together")
    parser.add_argument("--rank", type=int, default=0, help="of this one")
    parser.add_argument("--coordinator", default="", help="HOST:PORT of rank 0")
    return parser.parse_args()


def network(o):
    """torchvision's ResNet of width 1, with the stem of the paper's B.9 where wanted, and the projection head."""
    encoder = getattr(torchvision.models, f"resnet{o.depth}")()
    features = encoder.fc.in_features
    encoder.fc = nn.Identity()
    if o.stem == "CIFAR":
        encoder.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        encoder.maxpool = nn.Identity()
    return nn.Sequential(
        encoder,
        nn.Linear(features, features, bias=False),
        nn.BatchNorm1d(features),
        nn.ReLU(inplace=True),
        nn.Linear(features, 128, bias=False),
        nn.BatchNorm1d(128),
    )


def nt_xent(z, temperature=0.5):
    """Equation 1 of the paper, its mean over both views of a batch."""
    z = F.normalize(z.float(), dim=1)
    n = len(z) // 2
    similarity = z @ z.t() / temperature - 1e9 * torch.eye(2 * n)
    return F.cross_entropy(similarity, torch.cat((torch.arange(n, 2 * n), torch.arange(n))))


def gathered(z, o):
    """Everybody's z, all first views, then all second. Gradients are of the own ones, of the loss of all."""
    if o.workers == 1:
        return z
    z = z.float().contiguous()
    parts = [torch.empty_like(z) for _ in range(o.workers)]
    dist.all_gather(parts, z.detach())
    parts[o.rank] = z
    return torch.cat([p.chunk(2)[view] for view in (0, 1) for p in parts])


class LARS:
    """LARS with momentum 0.9 and trust coefficient 0.001 in as few passes as there can be."""

    def __init__(self, parameters, rate=0.1, decay=1e-4):
        self.parameters, self.rate, self.decay = list(parameters), rate, decay
        self.velocities = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self):
        for p, v in zip(self.parameters, self.velocities):
            update, rate = p.grad, self.rate
            if p.ndim > 1:
                update = update.add_(p, alpha=self.decay)
                w, u = p.norm().item(), update.norm().item()
                if w > 0 and u > 0:
                    rate *= 0.001 * w / u
            v.mul_(0.9).add_(update, alpha=rate)
            p.sub_(v)
            p.grad = None


def stepper(o):
    """A function that does one step, and gives the loss."""
    torch.manual_seed(0)
    net = network(o).to(memory_format=torch.channels_last)
    views = torch.rand(2 * o.images, 3, o.size, o.size).to(memory_format=torch.channels_last)
    if o.precision == "bf16":
        net, views = net.bfloat16(), views.bfloat16()
    if o.workers > 1:
        dist.init_process_group("gloo", init_method=f"tcp://{o.coordinator}", rank=o.rank, world_size=o.workers)
        net = nn.parallel.DistributedDataParallel(net, broadcast_buffers=False, gradient_as_bucket_view=True)
    optimizer = LARS(net.parameters())

    def loss_of(x):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=o.precision == "autocast"):
            z = net(x)
        return z if o.workers > 1 else nt_xent(z)

    if o.compile:
        loss_of = torch.compile(loss_of)

    def step():
        loss = loss_of(views)
        if o.workers > 1:
            loss = nt_xent(gathered(loss, o))
        # DistributedDataParallel takes the mean of the workers' gradients, and theirs add up
        (loss * o.workers).backward()
        optimizer.step()
        return loss.item()

    return step


def reset_peak():
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")  # proc(5): the peak is what is resident now


def peak():
    """Bytes that were resident at once since reset_peak."""
    with open("/proc/self/status") as f:
        return 1024 * next(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))


def main():
    o = arguments()
    torch.set_num_threads(o.threads)
    step = stepper(o)
    for _ in range(2):  # compiles; takes memory
        step()
    reset_peak()
    print(json.dumps(dict(ready=True)), flush=True)
    for line in sys.stdin:
        seconds, loss = [], 0.0
        for _ in range(int(line)):
            start = time.perf_counter()
            loss = step()
            seconds.append(time.perf_counter() - start)
        print(json.dumps(dict(seconds=seconds, loss=loss, peakBytes=peak())), flush=True)


if __name__ == "__main__":
    main()
