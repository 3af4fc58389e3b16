"""A program that is not there: how shells, make, Python and CUDA's builds say so, and what to do about it."""

from __future__ import annotations

import re

_NAME = r"[A-Za-z0-9][\w.+-]*"
_SAID = re.compile(
    rf"""
    (?:^|[\s:'])(?P<dash>{_NAME}):\s(?:command\s)?not\sfound\s*$           # dash(1), bash(1)
    | No\ssuch\sfile\sor\sdirectory:\s'(?P<python>[A-Za-z0-9][\w+-]*)'     # FileNotFoundError
    | make(?:\[\d+\])?:\s(?P<make>{_NAME}):\sNo\ssuch\sfile\sor\sdirectory
    | env:\s\W(?P<env>{_NAME})\W:\sNo\ssuch\sfile
    """,
    re.VERBOSE | re.MULTILINE,
)
_STARTS = "_execute_child"
"""The function of :mod:`subprocess` that starts programs, in tracebacks."""
_NVCC = re.compile(
    r"CUDA_HOME environment variable is not set|No CMAKE_CUDA_COMPILER could be found"
    r"|nvcc(?:[\w\s']{0,20})? (?:was )?not found|nvcc: (?:command )?not found|Could not find nvcc"
    r"|No such file or directory: '[^']*nvcc'|CUDA_NVCC_EXECUTABLE|nvcc binary could not be located"
    r"|[Ff]ailed to (?:find|detect) (?:CUDA )?nvcc"
)
"""What torch.utils.cpp_extension, CMake and setup.py files say."""


def missing_program(text: str, *, traceback: bool = True) -> str:
    """Return the last program that a text says is not there; "" for none.

    Args:
        text: what a command or a model printed. A file that Python does not find is a program where the
            traceback is one of ``subprocess``.
        traceback: whether there would be one; otherwise any such name may be a program's.

    Returns:
        ``nvcc`` where CUDA's compiler is missing, whatever else is.
    """
    if _NVCC.search(text):
        return "nvcc"
    kinds = [
        each for each in _SAID.finditer(text) if each["python"] is None or not traceback or _STARTS in text
    ]
    found = [next(filter(None, each.groups())) for each in kinds]
    return found[-1] if found else ""


def advice(program: str, package: str = "") -> str:
    """Return what to do where a program is missing.

    Args:
        program: its name.
        package: that has it, where that is known.
    """
    if program == "nvcc":
        return (
            "It looks for CUDA's compiler, which nothing told that it needs. Write in cog-nix.toml:\n"
            "  [gpu]\n"
            "  toolkit = true\n"
            "then run:  cog-nix build --update-lock   (build.gpu has to be true)"
        )
    named = (
        f"Add {package}" if package else f"Add the Debian package that has it (apt-file search bin/{program})"
    )
    return f"{program} is not there. {named} to build.system_packages, then run:  cog-nix build --update-lock"
