"""How parts of CUDA are known: by the names of Python packages, and of libraries."""

from __future__ import annotations

from cog_nix.plugins.spec import GpuLibraries

PARTS = GpuLibraries(
    prefixes=("nvidia-",),
    # What PyTorch compiles kernels with: released with it, and as heavy as parts of CUDA.
    compilers=("triton", "pytorch-triton"),
    # Older releases have CUDA in their own wheels, later ones require it.
    bundling=("torch",),
    sonames=r"lib(cu(dart|blas|fft|rand|solver|sparse|dnn)|nvrtc|nvJitLink|nccl)",
    advice="CUDA's libraries come with Python packages: nvidia-cuda-runtime-cu12, nvidia-cublas-cu12"
    " and the like.",
)
