"""Which commands of ``run:`` compile for GPUs, as far as their words tell."""

from __future__ import annotations

import enum
import re


class Need(enum.IntEnum):
    """How sure it is that a command needs a compiler for GPUs."""

    NONE = 0
    MAYBE = 1
    """It builds something, and only the source would tell what."""
    SURE = 2
    """It calls the compiler, or builds what is known to."""


_CALLS = re.compile(
    r"""
    (^|[;&|(])\s*(\w+=\S*\s+)*(\S*/)?nvcc\b(?!\s+--?(version|V)\b)
    | \.cu\b
    | \b(TORCH_CUDA_ARCH_LIST|FORCE_CUDA|CUDACXX|CUDAARCHS|\w+_CUDA)=
    """,
    re.VERBOSE,
)
"""The compiler, what it compiles, and variables that tell a build what to compile for."""

_BUILDS = re.compile(
    r"""
    \b(nvcc|CUDA_HOME|CUDA_PATH|CUDAARCHS|TORCH_CUDA_ARCH_LIST|FORCE_CUDA|CUDACXX)\b
    | /usr/local/cuda\b
    | \bsetup\.py\s+(\S+\s+)*(install|develop|build|build_ext|bdist_wheel)\b
    | (^|[;&|(])\s*(\w+=\S*\s+)*(cmake|ninja|make)\b(?!\s+--?version)
    | --no-build-isolation\b
    | --no-binary\b
    """,
    re.VERBOSE,
)
"""What calls compilers, and what these are told."""

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
    (^|\s|[/'"])(
        flash[-_.]att(n|ention) | xformers | apex | pytorch3d | detectron2 | mmcv(-full)? | causal[-_.]conv1d
        | mamba([-_.]ssm)? | bitsandbytes | auto[-_.]?gptq | exllamav2 | deepspeed | tiny[-_.]?cuda[-_.]?nn
        | nvdiffrast | (diff|simple)[-_.]\S*gaussian[-_.]rasterization | simple[-_.]knn | gsplat | torchsparse
        | spconv | torch[-_.](scatter|sparse|cluster) | pycuda | natten | kaolin | sageattention
        | llama[-_.]cpp[-_.]python | groundingdino | vox2seq
    )(\.git)?(?![-_.]?[a-z])
    """,
)
"""Distributions and repositories that are compiled for GPUs where their wheels do not fit: those that models
ask for."""
_FILES = re.compile(r"\.whl(?=\s|$|#|\?)")
_SKIPPED = re.compile(r"(?i)\b\w*_SKIP_CUDA_BUILD=(true|1|yes)\b")
"""Told not to compile."""
_PARTS = re.compile(r"&&|\|\||[;|]")


def need(command: str) -> Need:
    """Say how sure it is that a command calls a compiler for GPUs.

    Args:
        command: the text behind Dockerfile's ``RUN``, which may be a whole script.

    Returns:
        What its words speak for. A script that the command calls is not looked into.
    """
    text = command.replace("\\\n", " ")
    return max(map(_need, _PARTS.split(text)), default=Need.NONE)


def _need(part: str) -> Need:
    if _SKIPPED.search(part) or re.match(r"\s*(echo|export)\b", part):
        return Need.NONE
    if _CALLS.search(part):
        return Need.SURE
    found = max((_installs(one["what"]) for one in _INSTALLS.finditer(part)), default=Need.NONE)
    return max(found, Need.MAYBE if _BUILDS.search(part) else Need.NONE)


def _installs(what: str) -> Need:
    """Say what ``pip install`` of this needs; a wheel by its URL needs nothing."""
    words = " ".join(word for word in what.split() if not _FILES.search(word))
    requirements = re.sub(r"(^|\s)(-r|-c|--requirement|--constraint|-f|--find-links)[\s=]+\S+", " ", words)
    options = re.sub(r"(^|\s)(-i|--index-url|--extra-index-url)[\s=]+\S+", " ", requirements)
    if _COMPILED.search(options):
        return Need.SURE
    return Need.MAYBE if _SOURCES.search(requirements) else Need.NONE
