"""Why something is in an image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import LockError
from cog_nix.lock import format as lock_format
from cog_nix.lock.explain import Asked, explain
from cog_nix.lock.model import Source, Toolkit
from cog_nix.lock.reasons import parse
from cog_nix_hooks.debian.essential import TOOLS
from conftest import cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.lock.model import Deb, Lock, Wheel

_ASKED = Asked(
    system={"ffmpeg": "cog.yaml:5", "libmagic1": "cog.yaml:6"},
    python={"opencv-python": "requirements.txt:2", "flash-attn": "requirements.txt:3"},
    always=TOOLS,
)


@pytest.fixture
def whole(lock: Callable[..., Lock], deb: Callable[..., Deb], wheel: Callable[..., Wheel]) -> Lock:
    """Return a lock with something of every kind."""
    return lock(
        base=(deb("bash", "1-1", "libc6"), deb("libc6", "2.41-12"), deb("base-lib", "1-1", "libc6")),
        python=(
            deb("python3.13", "3.13.5-2", "libpython3.13-stdlib"),
            deb("libpython3.13-stdlib"),
            deb("loose"),
        ),
        system=(
            deb("ffmpeg", "7:7.1-1", "libavcodec61", "libc6"),
            deb("libavcodec61", "7:7.1-1", "libx264-164"),
            deb("libmagic1t64"),
            deb("libx264-164"),
        ),
        libraries=(deb("libgl1", "1.7-1", "libglx0"), deb("libglx0")),
        wheels=(
            wheel("cog"),
            wheel("pydantic"),
            wheel("opencv-python", "4.10.0", "numpy"),
            wheel("numpy", "2.0"),
        ),
        layers=(
            ("base", ("deb:bash", "deb:libc6", "deb:base-lib")),
            (
                "python",
                *(("deb:python3.13", "deb:libpython3.13-stdlib", "deb:loose", "state:base", "venv"),),
            ),
            ("essential", ("deb:login", "state:essential")),
            (
                "system-packages",
                (
                    *("deb:ffmpeg", "deb:libavcodec61", "deb:libmagic1t64", "deb:libx264-164"),
                    *("deb:libgl1", "deb:libglx0", "state:system"),
                ),
            ),
            ("sdk", ("wheel:cog", "wheel:pydantic")),
            ("python-packages", ("wheel:opencv-python", "wheel:numpy", "links:numpy")),
            ("run-0", ("run:0",)),
            ("source", ("source",)),
        ),
        reasons=(
            parse("libgl1", "opencv-python 4.10.0: cv2/cv2.abi3.so needs libGL.so.1"),
            parse("libmagic1t64", "libmagic1 is asked for"),
        ),
    )


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("ffmpeg", ["ffmpeg 7:7.1-1 (Debian package)", "  ffmpeg is asked for in cog.yaml:5"]),
        (
            "libx264-164",
            [
                "libx264-164 1.0-1 (Debian package)",
                "  libavcodec61 needs libx264-164",
                "  ffmpeg needs libavcodec61",
                "  ffmpeg is asked for in cog.yaml:5",
            ],
        ),
        ("libmagic1t64", ["libmagic1t64 1.0-1 (Debian package)", "  libmagic1 is asked for in cog.yaml:6"]),
        (
            "libglx0",
            [
                "libglx0 1.0-1 (Debian package)",
                "  libgl1 needs libglx0",
                "  opencv-python 4.10.0: cv2/cv2.abi3.so needs libGL.so.1",
                "  opencv-python is asked for in requirements.txt:2",
            ],
        ),
        (
            "libGL.so.1",
            [
                "libGL.so.1 is a library of libgl1",
                "libgl1 1.7-1 (Debian package)",
                "  opencv-python 4.10.0: cv2/cv2.abi3.so needs libGL.so.1",
                "  opencv-python is asked for in requirements.txt:2",
            ],
        ),
        (
            "Opencv_Python",
            ["opencv-python 4.10.0 (Python package)", "  opencv-python is asked for in requirements.txt:2"],
        ),
        (
            "numpy",
            [
                "numpy 2.0 (Python package)",
                "  opencv-python needs numpy",
                "  opencv-python is asked for in requirements.txt:2",
            ],
        ),
        ("cog", ["cog 1.0 (Python package)", "  cog is in every image: the Cog SDK and pip"]),
        ("bash", ["bash 1-1 (Debian package)", "  bash is in every image: base system"]),
        (
            "libc6",
            [
                "libc6 2.41-12 (Debian package)",
                "  bash needs libc6",
                "  bash is in every image: base system",
                "  also needed by base-lib, ffmpeg",
            ],
        ),
        ("base-lib", ["base-lib 1-1 (Debian package)", "  base-lib is part of the base system"]),
        (
            "python3.13",
            [
                "python3.13 3.13.5-2 (Debian package)",
                "  python3.13 is the image's interpreter, Python 3.13.5",
            ],
        ),
        ("loose", ["loose 1.0-1 (Debian package)", "  loose comes with the interpreter"]),
        (
            "login",
            [
                "login 1.0-1 (Debian package)",
                "  login is essential in Debian, and comes with system packages",
            ],
        ),
        (
            "gcc",
            ["gcc 14.2-1 (Debian package)", "  is there while the image is built, and not in the image"],
        ),
    ],
)
def test_the_way_to_who_asked_is_told(whole: Lock, name: str, lines: list[str]) -> None:
    assert explain(whole, name, _ASKED) == lines


def test_a_program_is_told_with_the_place_that_starts_it(whole: Lock, deb: Callable[..., Deb]) -> None:
    reason = parse("imagemagick", "The project: predict.py starts convert")
    started = replace(whole, libraries=(deb("imagemagick", "7"),), reasons=(reason,))
    asked = replace(_ASKED, starts={"convert": "predict.py:12"})
    lines = ["imagemagick 7 (Debian package)", "  predict.py:12 starts convert"]
    assert explain(started, "imagemagick", asked) == lines
    assert explain(started, "convert", asked) == ["convert is a program of imagemagick", *lines]
    assert explain(started, "imagemagick", _ASKED)[1:] == ["  The project: predict.py starts convert"]


def test_a_circle_of_needs_ends(whole: Lock, deb: Callable[..., Deb]) -> None:
    circle = replace(whole, libraries=(deb("one", "1", "two"), deb("two", "1", "one")), reasons=())
    assert explain(circle, "two", _ASKED) == [
        "two 1 (Debian package)",
        "  two is asked for",
        "  also needed by one",
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("libgl", "Did you mean libgl1 or libglx0 or libc6?"),
        ("opencv", "Did you mean opencv-python?"),
        (
            "zzz",
            "`cog-nix lock --explain` takes the name of a Debian package, a Python package or a library.",
        ),
    ],
)
def test_a_name_that_is_not_there_gets_suggestions(whole: Lock, name: str, hint: str) -> None:
    with pytest.raises(LockError) as caught:
        explain(whole, name, _ASKED)
    assert caught.value.message == f"{name} is not in the lock."
    assert caught.value.hint == hint


@pytest.mark.slow
def test_the_command_line_tells_it(whole: Lock, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("class Runner:\n    def run(self) -> str:\n        return ''\n")
    (tmp_path / "requirements.txt").write_text("# pictures\nOpenCV_Python>=4\n")
    (tmp_path / "cog.yaml").write_text(
        'build:\n  python_version: "3.13"\n  python_requirements: requirements.txt\n'
        '  system_packages:\n    - ffmpeg\nrun: "run.py:Runner"\n'
    )
    none = cog_nix("lock", "--explain", "ffmpeg", cwd=tmp_path, check=False)
    assert (none.returncode, none.stdout) == (1, "")
    assert "cog-nix lock" in none.stderr
    lock_format.write(whole, tmp_path / "cog-nix.lock")
    assert cog_nix("lock", "--explain", "libgl1", cwd=tmp_path).stdout == (
        "libgl1 1.7-1 (Debian package)\n"
        "  opencv-python 4.10.0: cv2/cv2.abi3.so needs libGL.so.1\n"
        "  opencv-python is asked for in requirements.txt:2\n"
    )
    mixed = cog_nix("lock", "--explain", "libgl1", "--upgrade", cwd=tmp_path, check=False)
    assert (mixed.returncode, mixed.stdout) == (1, "")
    wrong = cog_nix("lock", "--explain", "libgl", cwd=tmp_path, check=False)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "libgl is not in the lock." in wrong.stderr
    assert "Did you mean libgl1" in wrong.stderr


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        pytest.param(
            ("nvcc", True),
            [
                "nvidia-cuda-nvcc-cu12 12.4.131 (Python package)",
                "  is there while the image is built, and not in the image",
                "  CUDA 12.4 is seen by the commands of cog.yaml, ops",
            ],
            id="a-part",
        ),
        pytest.param(
            ("cuda", False),
            [
                "CUDA 12.4 (compiler for GPUs)",
                "libcuda1 550 (Debian package)",
                "nvidia-cuda-nvcc-cu12 12.4.131 (Python package)",
                "  is there while the image is built, and not in the image",
                "  CUDA 12.4 is seen by ops",
            ],
            id="all-of-it",
        ),
    ],
)
def test_the_compiler_for_gpus_is_told_of(
    lock: Callable[..., Lock],
    deb: Callable[..., Deb],
    wheel: Callable[..., Wheel],
    asked: tuple[str, bool],
    lines: list[str],
) -> None:
    name, commands = asked
    toolkit = Toolkit(
        "CUDA 12.4",
        (deb("libcuda1", "550"),),
        (wheel("nvidia-cuda-nvcc-cu12", "12.4.131"),),
        commands=commands,
    )
    compiled = replace(wheel("ops"), source=Source("sdist", device_code=True))
    made = lock(wheels=(*lock().wheels, compiled), toolkit=toolkit)
    assert explain(made, name, _ASKED) == lines
    with pytest.raises(LockError, match=f"{name} is not in the lock"):
        explain(lock(), name, _ASKED)


def test_a_part_of_the_compiler_is_a_suggestion(
    lock: Callable[..., Lock], wheel: Callable[..., Wheel]
) -> None:
    toolkit = Toolkit("CUDA 12.4", (), (wheel("nvidia-cuda-nvcc-cu12", "12.4.131"),))
    with pytest.raises(LockError) as caught:
        explain(lock(toolkit=toolkit), "nvidia-cuda-nvcc", _ASKED)
    assert caught.value.hint == "Did you mean nvidia-cuda-nvcc-cu12?"
