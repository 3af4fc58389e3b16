"""Names that no index has, or that PyPI has as pointers alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import LockError
from cog_nix.report import SilentReporter
from cog_nix_hooks.pypi import names

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.lock.model import Wheel

    from .conftest import Index

    Resolve = Callable[..., dict[str, Wheel]]

pytestmark = [pytest.mark.usefixtures("plain_machine"), pytest.mark.slow]  # runs uv


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("transfomers", "transformers"),
        ("opencv-pythn", "opencv-python"),
        ("scikit-lern", "scikit-learn"),
        ("acelerate", "accelerate"),
        ("cv2", "opencv-python"),
        ("pil", "pillow"),
        ("yaml", "pyyaml"),
        ("skimage", "scikit-image"),
        ("py-torch", "torch"),
        ("pytorh", "torch"),
        ("our-own-models", ""),
        ("x", ""),
    ],
)
def test_what_is_meant(written: str, meant: str) -> None:
    assert names.meant(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "Transfomers>=4",
        "transfomers",
        "transfomers[torch]==4.40",
        "transfomers[torch]>=4,<5",
        "transfomers[torch]<5,>=4.1",
        "transfomers[torch]~=4.1",
        "transfomers[torch,sentencepiece]>=4.1,!=4.2",
        "transfomers[torch]",
    ],
)
def test_the_name_that_is_meant_can_be_installed(resolve: Resolve, index: Index, written: str) -> None:
    index.add("transformers", "4.40")
    with pytest.raises(LockError, match="cannot be satisfied") as caught:
        resolve(index.line, written)
    found = re.match(r"Did you mean (\S+)\? ", caught.value.hint)
    assert found
    assert "transfomers" in caught.value.hint
    assert "transformers" in resolve(index.line, re.sub("(?i)transfomers", found[1], written))


def test_what_conda_brings_beside_packages_is_to_be_left_out(resolve: Resolve, index: Index) -> None:
    index.add("torch", "2.1")
    with pytest.raises(LockError, match="cudatoolkit was not found") as caught:
        resolve(index.line, "torch", "cudatoolkit")
    assert caught.value.hint.startswith("Leave cudatoolkit out: ")


def test_a_name_that_an_index_has_is_taken_as_it_is(resolve: Resolve, index: Index) -> None:
    index.add("transfomers", "1.0")
    index.add("cv2", "1.0")
    assert {"transfomers", "cv2"} <= set(resolve(index.line, "transfomers", "cv2"))


def test_a_release_that_does_not_fit_is_not_taken_for_another_name(resolve: Resolve, index: Index) -> None:
    index.add("transfomers", "1.0")
    with pytest.raises(LockError, match="cannot be satisfied") as caught:
        resolve(index.line, "transfomers[torch]>=4,<5")
    assert caught.value.hint == "Loosen one of the requirements named above."


def test_a_pointer_is_told_when_its_build_fails(
    resolve: Resolve, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyPI's own sklearn is a source whose build ends with a sentence about scikit-learn."""
    warned: list[str] = []
    monkeypatch.setattr(SilentReporter, "warn", lambda _, text: warned.append(text))
    for name in ("setuptools", "wheel"):
        index.add(name, "70.0")
    index.add_source("sklearn", "0.0.post12", {"setup.py": "raise SystemExit('use scikit-learn')\n"})
    assert resolve(index.line, "sklearn")["sklearn"].source
    (said,) = warned
    assert said.startswith("sklearn: cannot be asked here what it requires (")
    assert said.endswith("The package that is meant is probably scikit-learn: write that instead")
