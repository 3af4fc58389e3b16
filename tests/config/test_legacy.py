"""Pythons that Cog has given up, taken on opt-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.config import complete, parse, validate
from cog_nix.config.deprecations import deprecations
from cog_nix.config.legacy import SDKS, sdk_for
from cog_nix.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

OPT_IN = "[python]\nlegacy = true\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a project that opts in."""
    (tmp_path / "cog-nix.toml").write_text(OPT_IN)
    (tmp_path / "predict.py").write_text("")
    return tmp_path


def _problems(text: str, root: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(parse(text), root)
    return caught.value.shown()


def _text(python: str, more: str = "") -> str:
    return f'build:\n  python_version: "{python}"\n{more}'


@pytest.mark.parametrize("version", ["3.7", "3.8", "3.9", "3.9.18", " 3.8 "])
def test_they_are_taken_once_the_hint_of_the_error_is_followed(tmp_path: Path, version: str) -> None:
    text = _text(version)
    refused = _problems(text, tmp_path)
    assert "minimum supported Python version is 3.10" in refused
    assert f"with cog {sdk_for(version)}" in refused
    assert "legacy = true under [python] in cog-nix.toml" in refused
    (tmp_path / "cog-nix.toml").write_text(OPT_IN)
    validate(parse(text), tmp_path)
    assert complete(parse(text), tmp_path).build.python_version == version.strip()


@pytest.mark.parametrize("version", ["3.6", "2.7", "3.1"])
def test_no_others_are(root: Path, version: str) -> None:
    refused = _problems(_text(version), root)
    assert "minimum supported Python version is 3.10" in refused
    assert "legacy" not in refused


def test_switched_off_is_off(root: Path) -> None:
    (root / "cog-nix.toml").write_text("[python]\nlegacy = false\n")
    assert "minimum supported" in _problems(_text("3.8"), root)


def test_a_python_version_file_is_no_way_round_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\nversion = "1"\n')
    (tmp_path / ".python-version").write_text("3.8\n")
    text = "build:\n  python_requirements: pyproject.toml\n"
    assert "legacy = true" in _problems(text, tmp_path)
    (tmp_path / "cog-nix.toml").write_text(OPT_IN)
    validate(parse(text), tmp_path)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('run: "predict.py:Predictor"\n', ['does not know "run"', "Write: predict: predict.py:Predictor"]),
        ("concurrency:\n  max: 4\n", ["concurrency requires Python 3.11"]),
        ("observability:\n  traces:\n    enabled: true\n", ["does not trace", "Remove observability"]),
        ('  sdk_version: "0.23.1"\n', ["cog 0.23.1 does not support Python 3.8", 'sdk_version: "0.16.12"']),
        ('  sdk_version: "0.9.0"\n', ["cog 0.9.0 does not support Python 3.8"]),
    ],
)
def test_what_their_sdk_cannot_do_is_refused(root: Path, more: str, told: list[str]) -> None:
    refused = _problems(_text("3.8", more), root)
    assert all(part in refused for part in told), refused


def test_an_sdk_that_runs_on_them_may_be_named(root: Path) -> None:
    validate(parse(_text("3.8", '  sdk_version: "0.14.0"\n')), root)


def test_predict_is_not_called_deprecated(root: Path) -> None:
    predict = 'predict: "predict.py:Predictor"\n'
    assert deprecations(parse(_text("3.9", predict)), root) == ()
    assert deprecations(parse(_text("3.10", predict)), root)


@pytest.mark.parametrize(
    ("package", "cuda"),
    [
        ("torch==1.7.1", "11.0"),
        ("torch==1.9.0+cu111", "11.1"),
        ("torch==1.10.2", "11.3"),
        ("torch==1.5.1", "11.8"),
        ("torch==1.13.1", "11.7"),
        ("tensorflow==1.15.5", "11.8"),
        ("tensorflow==2.8.0", "11.2"),
    ],
)
def test_frameworks_of_that_time_are_taken(root: Path, package: str, cuda: str) -> None:
    text = _text("3.8", f"  gpu: true\n  python_packages:\n    - {package}\n")
    validate(parse(text), root)
    assert complete(parse(text), root).build.cuda == cuda


def test_removing_a_cuda_that_is_too_old_is_advised_and_works(root: Path) -> None:
    packages = "  gpu: true\n  python_packages:\n    - torch==1.7.1\n"
    assert "Remove the line" in _problems(_text("3.8", f'{packages}  cuda: "10.2"\n'), root)
    validate(parse(_text("3.8", packages)), root)


def test_frameworks_of_that_time_are_refused_where_the_python_is(tmp_path: Path) -> None:
    text = _text("3.8", "  gpu: true\n  python_packages:\n    - torch==1.7.1\n")
    refused = _problems(text, tmp_path)
    assert "doesn't know what CUDA version is compatible with torch==1.7.1" in refused
    assert "no wheels for Python 3.10. Take one that has: torch==1.11.0" in refused


def test_an_sdk_is_known_for_each() -> None:
    assert list(SDKS) == ["3.7", "3.8", "3.9"]
    assert sdk_for("3.10") is None
    assert sdk_for("") is None
