"""What stays out of the Nix store, and what Nix is told of a project then."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.build.nix_arguments import nix_arguments, selected
from cog_nix.build.outside import outside_of_store
from cog_nix.build.services import Services
from cog_nix.config import load_config
from cog_nix.config.model import LayerSettings, Project, Settings
from cog_nix.image.file_layers import DamagedFileError
from cog_nix.lock.model import ReferencedFile
from cog_nix.plugins import manager
from cog_nix.project.large import CROWD, LEAST, layers_in_store
from cog_nix.report import SilentReporter
from cog_nix.resolve.request import Request
from tests.lock.conftest import make_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@pytest.fixture
def arguments(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return a function that returns what Nix is told of the project in ``tmp_path/project``.

    It takes files that are put into the image, the layers' budget, and files that the lock names.
    """
    root = tmp_path / "project"
    root.mkdir()
    (root / "cog.yaml").write_text('build:\n  python_version: "3.13"\npredict: run.py:Runner\n')
    (root / "run.py").touch()
    services = Services(manager.load(), SilentReporter(), tmp_path / "cache")

    def arguments(
        placed: Sequence[dict[str, Any]] = (), budget: int = 60, files: tuple[ReferencedFile, ...] = ()
    ) -> dict[str, Any]:
        project = Project(root, root / "cog.yaml")
        config = load_config(project)
        included = selected(project, config)
        request = Request(project, config, Settings(layers=LayerSettings(budget=budget)))
        lock = make_lock(layers=(("layer", ("source",)),) * budget, files=files)
        outside = outside_of_store(request, lock, included, services, placed)
        return nix_arguments(
            project, config, {}, "tag", "", included=included, outside=outside, placed=placed
        )

    return arguments


def test_nix_is_told_where_large_files_are_described(
    arguments: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    assert "weights" not in arguments()
    path = tmp_path / "project/model/a.bin"
    path.parent.mkdir()
    path.touch()
    os.truncate(path, LEAST)
    told = arguments()
    assert "model" in told["included"]
    assert "model/a.bin" not in told["included"]
    (layer,) = told["weights"]
    assert layer["name"] == "weights"
    assert {one.name for one in Path(layer["path"]).iterdir()} == {
        *("fragment.json", "directories.tar", "headers.tar", "files.tsv")
    }


def test_nix_looks_into_no_folder_that_has_nothing_for_it(
    arguments: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    root = tmp_path / "project"
    for number in range(CROWD):
        path = root / f"data/{number % 5}/{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert {one for one in arguments()["included"] if one.startswith("data")} == set()
    (root / "data/3/load.py").touch()
    (root / "data/link").symlink_to("3/load.py")
    told = {one for one in arguments()["included"] if one.startswith("data")}
    assert told == {"data", "data/3", "data/3/load.py", "data/link"}


def test_a_large_file_that_a_build_reads_stays_where_it_sees_it(
    arguments: Callable[[], dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "project/.dockerignore").write_text("#" * LEAST)
    told = arguments()
    assert "weights" not in told
    assert ".dockerignore" in told["included"]


def held(folder: Path, to: str, size: int = LEAST) -> dict[str, Any]:
    """Return a file of the store of weights, and where it goes."""
    content = to.encode().ljust(size, b"\0")
    path = folder / hashlib.sha256(to.encode()).hexdigest()
    path.write_bytes(content)
    return {"file": str(path), "sha256": hashlib.sha256(content).hexdigest(), "size": size, "to": to}


def test_large_files_of_weights_stay_in_their_store(
    arguments: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    large, small = held(tmp_path, "/opt/unet/a.bin"), held(tmp_path, "/opt/unet/config.json", 10)
    told = arguments([large, small])
    assert told["placed"] == [small]
    (layer,) = (Path(one["path"]) for one in told["weights"])
    assert json.loads((layer / "fragment.json").read_text())["size"] > LEAST
    assert f'{large["sha256"]}\t"/opt/unet/a.bin"' in (layer / "files.tsv").read_text()
    before = (layer / "files.tsv").stat()
    os.link(large["file"], tmp_path / "as a container gets it")
    assert arguments([large, small]) == told
    assert (layer / "files.tsv").stat() == before, "its name says what it is: it was not read again"


def test_a_damaged_file_of_weights_is_told(arguments: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    large = held(tmp_path, "/opt/a.bin")
    Path(large["file"]).write_bytes(bytes(LEAST))
    with pytest.raises(DamagedFileError, match="is not the file of") as caught:
        arguments([large])
    assert "cog-nix weights pull" in caught.value.hint
    os.truncate(large["file"], 7)
    with pytest.raises(DamagedFileError):
        arguments([large])


@pytest.mark.parametrize("budget", [8, 60, 100, 120])
def test_all_kinds_of_large_files_leave_room_for_docker(
    arguments: Callable[..., dict[str, Any]], tmp_path: Path, budget: int
) -> None:
    for number in range(40):
        (tmp_path / f"project/{number}.bin").touch()
        os.truncate(tmp_path / f"project/{number}.bin", LEAST)
    placed = [held(tmp_path, f"/opt/{number}.bin") for number in range(18)]
    placed.append(held(tmp_path, "/opt/small", 1))
    files = tuple(ReferencedFile(f"/m/{n}", "https://example.org/a", "0" * 64, LEAST) for n in range(20))
    outside = len(arguments(placed, budget, files)["weights"])
    most = layers_in_store([LEAST] * 20 + [1], budget)
    assert outside >= 2, "at least one of each kind"
    assert budget + most + outside <= 127 - 2
