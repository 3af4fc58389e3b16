"""Which commands get a compiler for GPUs."""

from __future__ import annotations

import pytest

from cog_nix_hooks.nvidia.commands import Need, need


@pytest.mark.parametrize(
    "command",
    [
        "nvcc -arch=sm_80 -shared -o /usr/local/lib/libadd.so add.cu",
        "pip install flash-attn==2.7.4.post1 --no-build-isolation",
        "pip3 install 'flash_attn==2.5'",
        "pip install torch && pip install xformers",
        "pip install git+https://git.example.org/someone/tiny-cuda-nn/#subdirectory=bindings/torch",
        "pip install git+https://git.example.org/someone/pytorch3d.git@stable",
        "pip install ./submodules/diff-gaussian-rasterization",
        "cd llama.cpp && GGML_CUDA=1 make -j",
        "TORCH_CUDA_ARCH_LIST='7.0;8.6' python setup.py install",
    ],
)
def test_a_command_that_compiles(command: str) -> None:
    assert need(command) is Need.SURE


@pytest.mark.parametrize(
    "command",
    [
        "cd /opt/ops && python setup.py install",
        "cd /opt/ops && python3 setup.py --verbose build_ext --inplace",
        "pip install git+https://github.example.org/someone/ops",
        "pip install -e /opt/ops",
        "pip install --no-deps ./ops",
        "cd ops && pip install .",
        "cd ops && pip install -v -e .[all]",
        "uv pip install /opt/ops",
        "python -m pip install https://example.org/ops-1.0.tar.gz",
        "export CUDA_HOME=/usr/local/cuda && make",
        "cmake -B build -S . && cmake --build build",
        "pip install \\\n  --no-build-isolation ops",
        "pip install --no-binary ops ops",
    ],
)
def test_a_command_that_may_compile(command: str) -> None:
    assert need(command) is Need.MAYBE


@pytest.mark.parametrize(
    "command",
    [
        "pip install numpy",
        "pip install -r /opt/requirements.txt",
        "pip install --find-links /opt/wheels ops",
        "pip install https://example.org/flash_attn-2.7.4-cp313-cp313-linux_x86_64.whl",
        "pip install --index-url https://download.example.org/whl/cu124 torch",
        "pip install flash-attn-interface-stub",
        "FLASH_ATTENTION_SKIP_CUDA_BUILD=TRUE pip install flash-attn --no-build-isolation",
        "export CUDA_HOME=/usr/local/cuda",
        "echo 'export CUDA_HOME=/usr/local/cuda' >> ~/.bashrc",
        "apt-get update && apt-get install -y cmake-data=3.31.6-2",
        "cmake --version",
        "git clone https://example.org/ops.git /opt/ops",
        "curl -fsSL -o /usr/local/bin/pget https://example.org/pget && chmod +x /usr/local/bin/pget",
        "python -c 'import torch'",
        "huggingface-cli download someone/model.curl",
    ],
)
def test_a_command_that_does_not(command: str) -> None:
    assert need(command) is Need.NONE
