"""Each folder of ``projects`` is a project with one thing special about it.

``expected.json`` is the label that Cog 0.23.1 makes of it, byte for byte; ``expected-error.txt`` and
``expected-warnings.txt`` are what we say.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cog_nix.config import Document, complete, parse, validate
from cog_nix.config.deprecations import deprecations
from cog_nix.config.model import Config
from cog_nix.errors import ConfigError

PROJECTS = sorted((Path(__file__).parent / "projects").iterdir())
GOOD = [pytest.param(folder, id=folder.name) for folder in PROJECTS if (folder / "expected.json").exists()]
WARNED = [folder for folder in GOOD if (folder.values[0] / "expected-warnings.txt").exists()]  # type: ignore[operator]
BAD = [
    pytest.param(folder, id=folder.name) for folder in PROJECTS if (folder / "expected-error.txt").exists()
]


def read(folder: Path) -> Document:
    return parse((folder / "cog.yaml").read_bytes().decode())


def load(folder: Path) -> Config:
    document = read(folder)
    validate(document, folder)
    return complete(document, folder)


def test_every_project_says_what_it_expects() -> None:
    assert len(GOOD) + len(BAD) == len(PROJECTS)
    assert GOOD
    assert BAD


@pytest.mark.parametrize("folder", GOOD)
def test_label_is_upstreams(folder: Path) -> None:
    assert load(folder).label == (folder / "expected.json").read_text("utf-8").removesuffix("\n")


@pytest.mark.parametrize("folder", WARNED)
def test_warnings(folder: Path) -> None:
    expected = (folder / "expected-warnings.txt").read_text("utf-8")
    assert "".join(f"{line}\n" for line in deprecations(read(folder), folder)) == expected


@pytest.mark.parametrize("folder", BAD)
def test_error_tells_everything(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder)
    said = f"{caught.value.shown()}\n".replace(str(folder), "PROJECT")
    assert said == (folder / "expected-error.txt").read_text("utf-8")


@pytest.mark.parametrize("folder", BAD)
def test_error_ends_in_what_to_do_next(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder)
    assert caught.value.hint.endswith("then run the command again.")


def test_everything_becomes_a_config() -> None:
    config = load(Path(__file__).parent / "projects" / "everything")
    assert config.build.gpu
    assert config.build.python_version == "3.11.4"
    assert config.build.requirements == ("numpy==2.2.0", "torch==2.1.0")
    assert config.build.run[1].mounts[0].target == "/etc/pip.conf"
    assert (config.build.cuda, config.build.cudnn, config.build.sdk_version) == ("12.1", "8", "0.23.1")
    assert config.environment == (("A", "1"), ("B", "x=y"), ("C", ""))
    assert (config.predict, config.train, config.concurrency_max) == ("run.py:Runner", "train.py:train", 4)


def test_an_empty_file_has_the_default_python() -> None:
    config = load(Path(__file__).parent / "projects" / "empty-file")
    assert config.build.python_version == "3.13"
    assert config == Config(label='{"build":{}}')


def test_blanks_round_a_version_stay_in_the_label_only() -> None:
    assert load(Path(__file__).parent / "projects" / "python-with-blanks").build.python_version == "3.11"
