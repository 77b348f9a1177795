"""The step of peer.py on the device that JAX finds: like hack/bench/trainer/step it says that it is ready, then for each line with a
number on its standard input the seconds of so many steps. The views stay on the device.

    step_jax.py --depth 18 --size 32 --images 1024 --precision bf16
"""
import argparse
import json
import os
import sys
import time

os.environ.setdefault("JAX_PLATFORMS", "cuda")  # or JAX would fall back to the CPU
sys.path.insert(0, os.environ.get("PEER", os.path.join(os.path.dirname(__file__), "../accelerators")))

import jax
import jax.numpy as jnp
import numpy as np

import peer


def say(**answer):
    print(json.dumps(answer), flush=True)


def state(args, views):
    """Parameters, momenta and running statistics; the values do not matter for the time, but must not overflow."""
    n = peer.Network(args)
    jax.eval_shape(n, views)
    rng = np.random.default_rng(1)
    draw = lambda name, shape: (
        rng.standard_normal(shape, np.float32) / np.sqrt(np.prod(shape[:-1])) if name.endswith(".weight") else np.full(shape, name.endswith(".gamma"), np.float32))
    params = {k: jnp.asarray(draw(k, s)) for k, s in n.shapes.items()}
    momenta = {k: jnp.zeros(s, jnp.float32) for k, s in n.shapes.items()}
    running = {k: jnp.zeros((2, c), jnp.float32) for k, c in n.norms.items()}
    return params, momenta, running


def main():
    try:
        jax.devices()
    except AssertionError:  # of JAX 0.11.2, where the platform has no device
        sys.exit(f"JAX finds no device of JAX_PLATFORMS={os.environ['JAX_PLATFORMS']}")
    p = argparse.ArgumentParser()
    p.add_argument("--depth", type=int, required=True)
    p.add_argument("--size", type=int, required=True)
    p.add_argument("--images", type=int, required=True)
    p.add_argument("--precision", choices=["fp32", "bf16"], required=True)
    args = p.parse_args()
    args.width, args.batch, args.precision = 1, args.images, args.precision.upper()
    rng = np.random.default_rng(2)
    views = jnp.asarray(rng.random((2 * args.batch, args.size, args.size, 3), np.float32))
    current = state(args, views)
    step = jax.jit(peer.step(args), donate_argnums=(0, 1, 2))

    def once():
        nonlocal current
        begun = time.perf_counter()
        *current, loss, accuracy = step(*current, views, jnp.float32(0.1))
        value = float(loss), float(accuracy)
        return time.perf_counter() - begun, value[0]

    for _ in range(2):
        once()
    say(ready=True)
    for line in sys.stdin:
        done = [once() for _ in range(int(line))]
        say(seconds=[s for s, _ in done], loss=done[-1][1])


if __name__ == "__main__":
    main()
