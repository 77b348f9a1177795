"""The augmentations written plainly in JAX, lowered to StableHLO: what simclr-trainer's program of views is compared with.

One view is cropped, resized (bicubic, antialiased), mirrored, its colours are jittered in an order of its own, it is made grey and, at
--blur 1, blurred; jax.vmap makes a batch of it. What is random was drawn before: a view's columns are those of trainer/augment
(prepare.go). The batch is sharded over all devices.

    peer_views.py --size 224 --edge 448 --batch 512 --blur 1 --devices 1 --platform cuda > views.mlir
"""
import argparse
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # of this process; the program is lowered for --platform

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

X, Y, FLIPPED, STEPS, GREYED, SIGMA, PARAMETERS = 0, 3, 6, 10, 18, 23, 25
JITTER_STEPS = 4


def cubic(x):
    near = (1.5 * x - 2.5) * x * x + 1
    far = -0.5 * (((x - 5) * x + 8) * x - 4)
    return jnp.where(x < 1, near, jnp.where(x < 2, far, 0))


def weights(axis, size, edge):
    """(size, edge): of an axis that begins at a pixel, is so long, and of which so many pixels are looked at."""
    origin, extent, count = axis
    center = origin + (jnp.arange(size) + 0.5) * extent / size
    pixel = jnp.arange(edge)
    w = cubic(jnp.abs(pixel + 0.5 - center[:, None]) / jnp.maximum(extent / size, 1))
    w = jnp.where(pixel < count, w, 0)
    return w / w.sum(1, keepdims=True)


def luma(x):
    return (x * jnp.array([0.299, 0.587, 0.114])).sum(-1, keepdims=True)


def blend(x, grey, factor):
    return jnp.clip(factor * x + (1 - factor) * grey, 0, 1)


def hue(x, turn):
    high, low = x.max(-1), x.min(-1)
    chroma = jnp.maximum(high - low, 1e-30)
    r, g, b = x[..., 0], x[..., 1], x[..., 2]
    h = jnp.where(high == r, (g - b) / chroma, jnp.where(high == g, 2 + (b - r) / chroma, 4 + (r - g) / chroma))
    k = (jnp.array([5.0, 3.0, 1.0]) + (h + turn)[..., None]) % 6
    return high[..., None] - (high - low)[..., None] * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)


OPERATIONS = (
    lambda x, _: x,
    lambda x, f: jnp.clip(f * x, 0, 1),
    lambda x, f: blend(x, luma(x).mean(), f),
    lambda x, f: blend(x, luma(x), f),
    hue,
)


def blurred(x, sigma, radius):
    d = jnp.arange(-radius, radius + 1)
    w = jnp.exp(-0.5 * (d / jnp.maximum(sigma, 0.01)) ** 2)
    w = w / w.sum()
    for axis in (0, 1):
        size = x.shape[axis]
        padded = jnp.pad(x, [(radius, radius) if a == axis else (0, 0) for a in range(3)])
        x = sum(w[k] * lax.slice_in_dim(padded, k, k + size, axis=axis) for k in range(2 * radius + 1))
    return x


def view(args):
    def make(source, p):
        x = source.astype(jnp.float32) / 255
        down, across = weights(p[Y : Y + 3], args.size, args.edge), weights(p[X : X + 3], args.size, args.edge)
        x = jnp.einsum("he,efc,wf->hwc", down, x, across, precision="highest")
        x = jnp.clip(x, 0, 1)
        x = jnp.where(p[FLIPPED] == 1, x[:, ::-1], x)
        for step in range(JITTER_STEPS):
            operation, factor = p[STEPS + 2 * step].astype(jnp.int32), p[STEPS + 2 * step + 1]
            x = lax.switch(operation, OPERATIONS, x, factor)
        x = jnp.where(p[GREYED] == 1, luma(x), x)
        if args.blur:
            radius = args.size // 10 // 2
            x = jnp.where(p[SIGMA] > 0, blurred(x, p[SIGMA], radius), x)
        return x

    return jax.vmap(make)


def lowered(args):
    """The StableHLO of a batch's views, for so many devices."""
    rows = 2 * args.batch
    sources = jax.ShapeDtypeStruct((rows, args.edge, args.edge, 3), jnp.uint8)
    parameters = jax.ShapeDtypeStruct((rows, PARAMETERS), jnp.float32)
    sharded = NamedSharding(AbstractMesh((args.devices,), ("batch",)), PartitionSpec("batch"))
    program = jax.jit(view(args), in_shardings=(sharded, sharded), out_shardings=sharded)
    return program.trace(sources, parameters).lower(lowering_platforms=(args.platform,)).as_text()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--size", type=int, required=True)
    p.add_argument("--edge", type=int, required=True)
    p.add_argument("--batch", type=int, required=True)
    p.add_argument("--blur", type=int, choices=[0, 1], required=True)
    p.add_argument("--devices", type=int, required=True)
    p.add_argument("--platform", choices=["tpu", "cuda"], required=True)
    print(lowered(p.parse_args()))
