"""What is said of programs that are not there, and what to do."""

from __future__ import annotations

import pytest

from cog_nix.programs.missing import advice, missing_program

_TRACEBACK = """\
  File "/usr/lib/python3.13/subprocess.py", line 1972, in _execute_child
    raise child_exception_type(errno_num, err_msg, err_filename)
FileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'
"""


@pytest.mark.parametrize(
    ("said", "program"),
    [
        ("/bin/sh: 1: ffmpeg: not found", "ffmpeg"),
        ("sh: line 1: ffmpeg: command not found", "ffmpeg"),
        ("go.sh: 12: jq: not found\nmore", "jq"),
        (_TRACEBACK, "ffmpeg"),
        ("make: g++: No such file or directory", "g++"),
        ("env: 'node': No such file or directory", "node"),
        ("OSError: CUDA_HOME environment variable is not set. Please set it", "nvcc"),
        ("/bin/sh: 1: nvcc: not found", "nvcc"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'", "nvcc"),
        ("  No CMAKE_CUDA_COMPILER could be found.", "nvcc"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'weights'", ""),
        (_TRACEBACK.replace("'ffmpeg'", "'/src/tool/x'"), ""),
        ("error 404: page not found", ""),
        ("module foo not found", ""),
        ("cat: weights: No such file or directory", ""),
    ],
)  # fmt: skip
def test_the_program_that_is_missing(said: str, program: str) -> None:
    assert missing_program(said) == program


def test_without_a_traceback_any_name_may_be_a_program() -> None:
    said = "Prediction failed: FileNotFoundError: [Errno 2] No such file or directory: 'ffmpeg'"
    assert missing_program(said, traceback=False) == "ffmpeg"
    assert missing_program(said.replace("ffmpeg", "weights/a.bin"), traceback=False) == ""


def test_the_advice_names_what_to_write() -> None:
    assert "Add ffmpeg to build.system_packages" in advice("ffprobe", "ffmpeg")
    assert "apt-file search bin/odd" in advice("odd")
    assert "[gpu]\n  toolkit = true" in advice("nvcc")
