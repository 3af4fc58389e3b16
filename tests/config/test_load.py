"""``load``: files, warnings, and what is remembered between builds."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cog_nix.config import load, load_config
from cog_nix.config.model import Project
from cog_nix.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = 'build:\n  python_version: "3.12"\n'


def project(root: Path, text: str | bytes, name: str = "cog.yaml") -> Project:
    path = root / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return Project(root, path)


def test_config_is_read_from_the_named_file(tmp_path: Path) -> None:
    assert load_config(project(tmp_path, GOOD, "gpu.yaml")).build.python_version == "3.12"


def test_errors_name_the_file_that_was_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^gpu\.yaml:1: "):
        load_config(project(tmp_path, "nothing", "gpu.yaml"))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cog\.yaml: cannot be read"):
        load_config(Project(tmp_path, tmp_path / "cog.yaml"))


def test_bytes_that_are_no_text_are_placed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cog\.yaml:2: this is not UTF-8 text"):
        load_config(project(tmp_path, b"build:\n  image: \xff\n"))


def test_warnings_come_with_lines(tmp_path: Path) -> None:
    (tmp_path / "predict.py").touch()
    text = f"{GOOD}  python_packages: [a]\n  pre_install: [b]\n  fast: true\n"
    text += "predict: predict.py:P\nconcurrency: {max: 1}\n"
    assert load(project(tmp_path, text)).warnings == (
        'cog.yaml:6: deprecated field "predict": use "run" instead',
        'cog.yaml:7: deprecated field "concurrency.max": use "@cog.concurrent(max=...)" instead',
        'cog.yaml:3: deprecated field "build.python_packages": use "build.python_requirements" instead',
        'cog.yaml:4: deprecated field "build.pre_install": use "build.run" instead',
        'cog.yaml:5: the field "build.fast" has no effect: cog-nix has one way of building, and it is fast',
    )


def test_cuda_that_torch_has_no_wheels_for_is_a_warning(tmp_path: Path) -> None:
    text = f'{GOOD}  gpu: true\n  cuda: "12.9"\n  python_packages: ["torch==2.4.1"]\n'
    warning = load(project(tmp_path, text)).warnings[-1]
    assert warning.startswith("cog.yaml:4: Cog doesn't know if CUDA 12.9 is compatible with PyTorch 2.4.1")
    assert warning.endswith("Try 12.4 instead?")


def test_references_can_be_left_unchecked(tmp_path: Path) -> None:
    broken = project(tmp_path, f"{GOOD}predict: gone.py:P\n")
    with pytest.raises(ConfigError, match=r"there is no file gone\.py"):
        load(broken)
    assert load(broken, references=False).config.predict == "gone.py:P"


def test_a_valid_text_is_remembered(tmp_path: Path) -> None:
    good = project(tmp_path, GOOD)
    load_config(good)
    mark = good.state_dir / "validated"
    first = mark.read_text()
    assert len(first) == 64
    load_config(project(tmp_path, f"{GOOD}  gpu: false\n"))
    assert mark.read_text() != first
    assert os.listdir(good.state_dir) == ["validated"]  # noqa: PTH208 - no temporary file is left behind


def test_a_wrong_text_is_not_remembered(tmp_path: Path) -> None:
    bad = project(tmp_path, f"{GOOD}  gpu: 1\n")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"build\.gpu"):
            load_config(bad)
    assert not bad.state_dir.exists()


def test_a_state_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    good = project(tmp_path, GOOD)
    good.state_dir.write_text("a file where the folder should be")
    assert load_config(good).build.python_version == "3.12"


def imported_after(tmp_path: Path, code: str) -> str:
    script = f"import sys\nfrom pathlib import Path\n{code}\nprint('jsonschema' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


LOAD = """
from cog_nix.config import load
from cog_nix.project.find import find_project
load(find_project(Path.cwd()))
"""


def test_the_second_load_is_spared_the_import_of_jsonschema(tmp_path: Path) -> None:
    project(tmp_path, GOOD)
    assert imported_after(tmp_path, LOAD) == "True"
    assert imported_after(tmp_path, LOAD) == "False"


def test_parsing_and_completing_need_no_jsonschema(tmp_path: Path) -> None:
    project(tmp_path, GOOD)
    code = "from cog_nix.config import complete, parse\n"
    code += "complete(parse(Path('cog.yaml').read_text()), Path.cwd())"
    assert imported_after(tmp_path, code) == "False"
