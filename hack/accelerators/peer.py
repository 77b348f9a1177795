"""The contrastive step written plainly in JAX, lowered to StableHLO: what simclr-trainer's program is compared with.

ResNet (He et al. 2015, stride on the 3x3 convolution), the nonlinear projection head of two layers, NT-Xent over all 2N views,
LARS. Activations and products in bfloat16 or float32, parameters, statistics and loss in float32. The batch is sharded over all
devices, the rest replicated, so that batch norm and NT-Xent are global; the state is donated.

    peer.py --depth 50 --width 1 --size 224 --batch 4096 --precision BF16 --devices 128 --platform tpu > step.mlir
"""
import argparse
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # of this process; the program is lowered for --platform

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
EPSILON, DECAY = 1e-5, 0.1
MOMENTUM, WEIGHT_DECAY, TRUST, TEMPERATURE = 0.9, 1e-6, 1e-3, 0.5


class Network:
    """Run once with params None, it says the shapes; then it computes."""

    def __init__(self, args, params=None, running=None):
        self.args, self.params, self.running = args, params, running
        self.dtype = jnp.bfloat16 if args.precision == "BF16" else jnp.float32
        self.shapes, self.norms, self.updated = {}, {}, {}

    def parameter(self, name, *shape):
        self.shapes[name] = shape
        return jnp.zeros(shape) if self.params is None else self.params[name]

    def conv(self, x, name, out, k, stride):
        w = self.parameter(name + ".weight", k, k, x.shape[-1], out).astype(self.dtype)
        pad = [(k // 2, k // 2)] * 2
        return lax.conv_general_dilated(x, w, (stride, stride), pad, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def norm(self, x, name, shift=True):
        c = x.shape[-1]
        gamma = self.parameter(name + ".gamma", c)
        beta = self.parameter(name + ".beta", c) if shift else 0.0
        self.norms[name] = c
        y, axes = x.astype(jnp.float32), tuple(range(x.ndim - 1))
        mean = y.mean(axes)
        var = jnp.maximum((y * y).mean(axes) - mean * mean, 0)
        if self.running is not None:
            old, n = self.running[name], x.size // c
            self.updated[name] = (1 - DECAY) * old + DECAY * jnp.stack([mean, var * (n / (n - 1))])
        return ((y - mean) * (lax.rsqrt(var + EPSILON) * gamma) + beta).astype(self.dtype)

    def dense(self, x, name, out):
        return x @ self.parameter(name + ".weight", x.shape[-1], out).astype(x.dtype)

    def block(self, x, name, inner, out, stride, project):
        y = x
        if self.args.depth >= 50:
            y = jax.nn.relu(self.norm(self.conv(y, name + ".conv1", inner, 1, 1), name + ".bn1"))
            y = jax.nn.relu(self.norm(self.conv(y, name + ".conv2", inner, 3, stride), name + ".bn2"))
            y = self.norm(self.conv(y, name + ".conv3", out, 1, 1), name + ".bn3")
        else:
            y = jax.nn.relu(self.norm(self.conv(y, name + ".conv1", inner, 3, stride), name + ".bn1"))
            y = self.norm(self.conv(y, name + ".conv2", out, 3, 1), name + ".bn2")
        if project:
            x = self.norm(self.conv(x, name + ".downsample", out, 1, stride), name + ".downsample.bn")
        return jax.nn.relu(x + y)

    def __call__(self, views):
        width, expansion = self.args.width, 4 if self.args.depth >= 50 else 1
        channels = lambda base: max(1, int(base * width))
        x = views.astype(self.dtype)
        if self.args.size <= 64:
            x = jax.nn.relu(self.norm(self.conv(x, "conv1", channels(64), 3, 1), "bn1"))
        else:
            x = jax.nn.relu(self.norm(self.conv(x, "conv1", channels(64), 7, 2), "bn1"))
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), [(0, 0), (1, 1), (1, 1), (0, 0)])
        for group, count in enumerate(BLOCKS[self.args.depth]):
            for i in range(count):
                inner, stride = channels(64 << group), 2 if i == 0 and group else 1
                out = inner * expansion
                project = stride != 1 or x.shape[-1] != out
                x = self.block(x, f"layer{group + 1}.{i}", inner, out, stride, project)
        h = x.astype(jnp.float32).mean((1, 2))
        z = jax.nn.relu(self.norm(self.dense(h, "projection.0", h.shape[-1]), "projection.1").astype(jnp.float32))
        return self.norm(self.dense(z, "projection.3", 128), "projection.4", shift=False).astype(jnp.float32)


def ntxent(z):
    z = z / jnp.linalg.norm(z, axis=1, keepdims=True)
    rows = z.shape[0]
    i = jnp.arange(rows)
    logits = z @ z.T / TEMPERATURE
    logits = jnp.where(i[:, None] == i[None, :], -jnp.inf, logits)
    positive = jnp.take_along_axis(logits, ((i + rows // 2) % rows)[:, None], axis=1)[:, 0]
    accuracy = (logits[: rows // 2, rows // 2 :].argmax(1) == i[: rows // 2]).mean()
    return (jax.nn.logsumexp(logits, axis=1) - positive).mean(), accuracy


def lars(name, w, g, v, lr):
    if not name.endswith(".weight"):
        v = MOMENTUM * v + lr * g
        return w - v, v
    g = g + WEIGHT_DECAY * w
    a, b = jnp.linalg.norm(w), jnp.linalg.norm(g)
    v = MOMENTUM * v + lr * jnp.where((a > 0) & (b > 0), TRUST * a / b, 1.0) * g
    return w - v, v


def step(args):
    def run(params, momenta, running, views, lr):
        def loss(params):
            n = Network(args, params, running)
            value, accuracy = ntxent(n(views))
            return value, (accuracy, n.updated)

        (value, (accuracy, updated)), grads = jax.value_and_grad(loss, has_aux=True)(params)
        new = {k: lars(k, params[k], grads[k], momenta[k], lr) for k in params}
        return {k: w for k, (w, _) in new.items()}, {k: v for k, (_, v) in new.items()}, updated, value, accuracy

    return run


def lowered(args):
    """The step's StableHLO for so many devices."""
    views = jax.ShapeDtypeStruct((2 * args.batch, args.size, args.size, 3), jnp.float32)
    n = Network(args)
    jax.eval_shape(n, views)
    params = {k: jax.ShapeDtypeStruct(s, jnp.float32) for k, s in n.shapes.items()}
    running = {k: jax.ShapeDtypeStruct((2, c), jnp.float32) for k, c in n.norms.items()}
    mesh = AbstractMesh((args.devices,), ("batch",))
    replicated, sharded = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))
    program = jax.jit(
        step(args), donate_argnums=(0, 1, 2),
        in_shardings=(replicated, replicated, replicated, sharded, replicated), out_shardings=replicated)
    lr = jax.ShapeDtypeStruct((), jnp.float32)
    return program.trace(params, params, running, views, lr).lower(lowering_platforms=(args.platform,)).as_text()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--depth", type=int, required=True)
    p.add_argument("--width", type=float, required=True)
    p.add_argument("--size", type=int, required=True)
    p.add_argument("--batch", type=int, required=True)
    p.add_argument("--precision", choices=["BF16", "FP32"], required=True)
    p.add_argument("--devices", type=int, required=True)
    p.add_argument("--platform", choices=["tpu", "cuda"], required=True)
    print(lowered(p.parse_args()))
