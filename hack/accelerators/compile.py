"""Compiles a StableHLO program for TPUs or GPUs that this machine does not have, and says what it will need of each.

The real compilers run: libtpu's, and XLA:GPU's with ptxas and a written-down description of the GPU. No TPU or GPU is touched.

    compile.py tpu v5e:4x4 < step.mlir      # a JSON object: memory of a device, FLOPs and bytes that it moves
    compile.py cuda 2x8 < step.mlir         # hosts x GPUs of a host
    compile.py versions                     # of the compilers
"""
import json
import os
import sys
import time
from importlib.metadata import version

os.environ["JAX_PLATFORMS"] = "cpu"  # the only devices that are looked for
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # no metadata server is asked for a chip
os.environ.setdefault("TPU_STDERR_LOG_LEVEL", "3")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")
FLAGS = "--xla_gpu_autotune_level=0"  # there is no GPU to try kernels on
os.environ["XLA_FLAGS"] = FLAGS

# As cudaGetDeviceProperties and XLA's own gpu_specs/ tell it of an H200.
H200 = """gpu_device_info { threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535 memory_bandwidth: 4814000000000
l2_cache_size: 62914560 clock_rate_ghz: 1.98 device_memory_size: 150000000000 shared_memory_per_block_optin: 232448
cuda_compute_capability { major: 9 minor: 0 } registers_per_core_limit: 65536 registers_per_block_limit: 65536 }
platform_name: "CUDA" dnn_version_info { major: 9 minor: 12 } runtime_version { major: 12 minor: 9 }
device_description_str: "NVIDIA H200\""""

PACKAGES = ("jaxlib", "libtpu", "jax-cuda13-pjrt", "jax-cuda13-plugin", "nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cudnn-cu13")


def compiled(platform, shape, text):
    import numpy as np
    from jax._src.interpreters import mlir
    from jax._src.lib import xla_client as xc
    from jax._src.lib.mlir import ir
    from jax.experimental import topologies

    if platform == "tpu":
        topology = topologies.get_topology_desc(platform="tpu", topology_name=shape)
    else:
        name = "1x" + shape  # slices x hosts x devices of a host
        topology = topologies.get_topology_desc(platform="cuda", topology_name=name, topology=name, target_config=H200)
    devices = topology.devices
    options = xc.CompileOptions()
    build = options.executable_build_options
    build.num_replicas, build.num_partitions = 1, len(devices)
    build.use_spmd_partitioning = build.use_shardy_partitioner = True
    build.device_assignment = xc.DeviceAssignment.create(np.array([[d.id for d in devices]]))
    with mlir.make_ir_context():
        module = ir.Module.parse(text)
    start = time.time()
    program = devices[0].client.compile(module, xc._xla.DeviceList(tuple(devices)), options)
    seconds = time.time() - start
    memory = program.get_compiled_memory_stats()
    cost = costs(platform, module, program, len(devices))
    return {
        "device": devices[0].device_kind,
        "devices": len(devices),
        "hosts": 1 + max(d.process_index for d in devices),
        "argumentBytes": memory.argument_size_in_bytes,
        "outputBytes": memory.output_size_in_bytes,
        "aliasBytes": memory.alias_size_in_bytes,
        "temporaryBytes": memory.temp_size_in_bytes,
        "flops": cost["flops"],
        "bytesMoved": cost["bytes accessed"],
        "seconds": round(seconds, 1),
    }


def costs(platform, module, program, devices):
    """FLOPs and bytes of a device. Of a TPU, as its compiler tells them of what it made. XLA:GPU's analysis of the compiled program
    knows the bytes of cuDNN's and cuBLAS' calls, but not their FLOPs: those are counted in the program before it is compiled."""
    if platform == "tpu":
        return program.cost_analysis()
    import jax
    from jax._src.lib import _jax

    client = jax.devices("cpu")[0].client
    made = _jax.hlo_module_cost_analysis(client, program.hlo_modules()[0])
    with module.context:
        given = _jax.mlir.mlir_module_to_xla_computation(str(module), use_tuple_args=False, return_tuple=False)
    whole = _jax.hlo_module_cost_analysis(client, given.get_hlo_module())
    return {"flops": whole["flops"] / devices, "bytes accessed": made["bytes accessed"]}


def out_of_memory(message):
    return "RESOURCE_EXHAUSTED" in message or "out of memory" in message.lower() or "exceeds the limit" in message.lower()


def main(arguments):
    if arguments == ["versions"]:
        print(json.dumps({p: version(p) for p in PACKAGES} | {"flags": FLAGS}))
        return
    platform, shape = arguments
    try:
        result = compiled(platform, shape, sys.stdin.read())
    except Exception as e:  # the compilers' errors are RuntimeError's of one class
        if not out_of_memory(str(e)):
            raise
        result = {"outOfMemory": str(e)[:2000]}
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
