"""Which commands of ``run:`` compile for GPUs, as far as their words tell."""

from __future__ import annotations

import re

_WORDS = re.compile(
    r"""
    \b(nvcc|CUDA_HOME|CUDA_PATH|CUDAARCHS|TORCH_CUDA_ARCH_LIST|FORCE_CUDA|CUDACXX)\b
    | /usr/local/cuda\b
    | \.cu\b
    | \bsetup\.py\s+(\S+\s+)*(install|develop|build|build_ext|bdist_wheel)\b
    | (^|[;&|(])\s*(\w+=\S*\s+)*(cmake|ninja|make)\b(?!\s+--?version)
    | --no-build-isolation\b
    | --no-binary\b
    """,
    re.VERBOSE,
)
"""Compilers, what they are told, and what calls them."""

_INSTALLS = re.compile(r"\b(pip[\d.]*|uv)\s+(\S+\s+)*?(install|wheel)\s+(?P<what>[^;&|]*)")
_SOURCES = re.compile(
    r"""
    (^|\s)(
        git\+\S+                          # a repository
        | (-e\s+|--editable[\s=]+)?\.{0,2}/\S*   # a folder
        | (-e\s+|--editable[\s=]+)\S+
        | \.(\[\S*\])?                   # this folder
        | \S+\.(tar\.gz|tgz|zip)
    )(?=\s|$)
    """,
    re.VERBOSE,
)
_COMPILED = re.compile(
    r"""(?ix)
    (^|\s)['"]?(
        flash[-_.]attn | xformers | apex | pytorch3d | detectron2 | mmcv(-full)? | causal[-_.]conv1d
        | mamba[-_.]ssm | bitsandbytes | auto[-_.]gptq | exllamav2 | deepspeed | tiny[-_.]?cuda[-_.]?nn
        | nvdiffrast | diff[-_.]gaussian[-_.]rasterization | gsplat | torchsparse | spconv
        | torch[-_.](scatter|sparse|cluster) | pycuda | natten | kaolin | sageattention
        | llama[-_.]cpp[-_.]python
    )\b(?![-_.][a-z])
    """,
)
"""Distributions that come as source, or whose wheels do not fit every torch: those that models ask for."""
_FILES = re.compile(r"\.whl(?=\s|$|#|\?)")


def compiles(command: str) -> bool:
    """Say whether a command may call a compiler for GPUs.

    Args:
        command: the text behind Dockerfile's ``RUN``, which may be a whole script.

    Returns:
        Whether its words speak for it. A script that the command calls is not looked into.
    """
    text = command.replace("\\\n", " ")
    return bool(_WORDS.search(text)) or any(_builds(found["what"]) for found in _INSTALLS.finditer(text))


def _builds(what: str) -> bool:
    """Say whether ``pip install`` of this builds from source; a wheel by its URL does not."""
    words = " ".join(word for word in what.split() if not _FILES.search(word))
    requirements = re.sub(r"(^|\s)(-r|-c|--requirement|--constraint|-f|--find-links)[\s=]+\S+", " ", words)
    return bool(_SOURCES.search(requirements) or _COMPILED.search(requirements))
