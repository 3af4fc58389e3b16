"""Files that cog-nix.toml names by URL: at first sight, later, changed, edited, offline."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Project, WeightFile
from cog_nix.managed.referenced import (
    ChangedFileError,
    NotFetchedError,
    ensure,
    in_the_image,
    mounted,
)
from cog_nix.managed.source import SourceError
from tests.managed.hub import COMMIT
from tests.managed.website import CONTENT

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.lock.model import ReferencedFile
    from cog_nix.managed.source import Surroundings
    from tests.managed.hub import Hub
    from tests.managed.website import Server

SHA256 = hashlib.sha256(CONTENT).hexdigest()


def have(
    root: Path,
    around: Surroundings,
    file: WeightFile,
    locked: tuple[ReferencedFile, ...] = (),
    **more: Any,
) -> ReferencedFile:
    project = Project(root, root / "cog.yaml")
    around.cancelled.clear()
    (found,) = ensure(project, [file], locked, around, **more)
    return found


@pytest.fixture
def file(server: Server) -> WeightFile:
    """Return a file that the server has."""
    return WeightFile("checkpoints/model.bin", server.url)


def test_first_sight(project: Path, around: Surroundings, server: Server, file: WeightFile) -> None:
    found = have(project, around, file)
    assert (found.sha256, found.size) == (SHA256, len(CONTENT))
    place = project / "checkpoints/model.bin"
    assert place.read_bytes() == CONTENT
    assert not place.samefile(around.store.path(f"sha256:{SHA256}")), "an edit would change the store"
    server.log.clear()
    assert have(project, around, file, (found,), offline=True) == found
    place.unlink()
    assert have(project, around, file, (found,), offline=True) == found, "the store has it"
    assert place.read_bytes() == CONTENT
    assert not server.log


def test_another_file_behind_the_url(
    project: Path,
    around: Surroundings,
    server: Server,
    file: WeightFile,
) -> None:
    found = have(project, around, file)
    (project / file.path).unlink()
    around.store.path(f"sha256:{SHA256}").unlink()
    server.content = CONTENT[::-1]
    other = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(ChangedFileError) as caught:
        have(project, around, file, (found,))
    assert caught.value.expected == SHA256
    assert caught.value.got.startswith(f"sha256 {other}")
    assert caught.value.hint.endswith("cog-nix lock --upgrade checkpoints/model.bin")
    assert not (project / file.path).exists()
    meant = replace(file, sha256=other)
    again = have(project, around, meant, (found,))
    assert again.sha256 == other
    with pytest.raises(ChangedFileError, match="has changed") as caught:
        have(project, around, replace(file, sha256="0" * 64, path="x"))
    assert "cog-nix.toml has the first" in caught.value.hint


def test_a_replaced_one_takes_its_place(
    project: Path,
    around: Surroundings,
    server: Server,
    file: WeightFile,
) -> None:
    found = have(project, around, file)
    server.content = b"new"
    meant = replace(file, sha256=hashlib.sha256(b"new").hexdigest())
    have(project, around, meant, (found,))
    assert (project / file.path).read_bytes() == b"new"


def test_what_somebody_has_put_there_stays(project: Path, around: Surroundings, file: WeightFile) -> None:
    place = project / file.path
    place.parent.mkdir()
    place.write_bytes(b"mine")
    with pytest.raises(ChangedFileError) as caught:
        have(project, around, file)
    assert place.read_bytes() == b"mine"
    assert caught.value.hint.startswith("Remove checkpoints/model.bin")
    place.unlink()
    found = have(project, around, file)
    place.write_bytes(b"edited")
    with pytest.raises(ChangedFileError):
        have(project, around, file, (found,))
    assert place.read_bytes() == b"edited"


def test_offline(project: Path, around: Surroundings, server: Server, file: WeightFile) -> None:
    with pytest.raises(NotFetchedError, match="nothing may be fetched") as caught:
        have(project, around, file, offline=True)
    assert "Build once with the network" in caught.value.hint
    assert not server.log


def test_a_mounted_one_stays_in_the_store(
    project: Path,
    around: Surroundings,
    server: Server,
    file: WeightFile,
) -> None:
    elsewhere = replace(file, mount=True, path="/opt/model.bin")
    found = have(project, around, elsewhere)
    assert around.store.held(f"sha256:{SHA256}", len(CONTENT))
    assert not list(project.iterdir())
    server.log.clear()
    assert have(project, around, elsewhere, (found,)) == found
    assert not server.log
    assert in_the_image([found]) == []
    path = around.store.path(f"sha256:{SHA256}")
    assert mounted([found], around.store) == ((path, "/opt/model.bin"),)
    assert mounted([replace(found, path="model.bin")], around.store) == ((path, "/src/model.bin"),)
    path.unlink()
    with pytest.raises(NotFetchedError, match="is not here"):
        mounted([found], around.store)


def test_a_known_sha256_needs_no_server(
    project: Path,
    around: Surroundings,
    server: Server,
    file: WeightFile,
) -> None:
    have(project, around, file)
    server.log.clear()
    have(project, around, replace(file, path="again.bin", sha256=SHA256), offline=True)
    assert (project / "again.bin").read_bytes() == CONTENT
    assert not server.log


def test_a_file_of_a_hub_keeps_its_commit(project: Path, around: Surroundings, hub: Hub) -> None:
    digest = hub.add("unet/model.safetensors", CONTENT, lfs=True)
    file = WeightFile("unet.safetensors", "hf://org/repo@main/unet/model.safetensors")
    found = have(project, around, file)
    assert (f"sha256:{found.sha256}", found.commit) == (digest, COMMIT)
    hub.revisions["moved"] = COMMIT
    hub.revisions["main"] = "8" * 40
    (project / file.path).unlink()
    around.store.path(digest).unlink()
    assert have(project, around, file, (found,)) == found
    assert hub.count(f"/resolve/{COMMIT}/") == 2
    with pytest.raises(SourceError, match="the repository has no such file"):
        have(project, around, replace(file, url="hf://org/repo/gone"))


def test_one_that_may_move(project: Path, around: Surroundings, server: Server, file: WeightFile) -> None:
    found = have(project, around, file)
    server.content = b"new"
    assert have(project, around, file, (found,)) == found
    moved = have(project, around, file, (found,), moving=[file.path])
    assert moved.sha256 == hashlib.sha256(b"new").hexdigest()
    assert (project / file.path).read_bytes() == b"new"


def test_one_that_goes_elsewhere_in_the_image(project: Path, around: Surroundings, file: WeightFile) -> None:
    found = have(project, around, replace(file, path="/root/.cache/model.bin"))
    assert not list(project.iterdir())
    (artifact,) = in_the_image([found])
    assert (artifact.filename, artifact.sha256, artifact.size) == ("model.bin", SHA256, len(CONTENT))
    assert mounted([found], around.store) == ()


def test_a_wrong_url_names_its_key(project: Path, around: Surroundings, file: WeightFile) -> None:
    with pytest.raises(SourceError) as caught:
        have(project, around, replace(file, url=file.url.replace("/folder/", "/other/")))
    assert caught.value.hint == "Correct its `url` in cog-nix.toml."


def test_another_place_is_no_other_file(
    project: Path, around: Surroundings, server: Server, file: WeightFile
) -> None:
    found = have(project, around, file)
    server.content = b"new"
    server.log.clear()
    moved = have(project, around, replace(file, path="moved.bin"), (found,))
    assert (moved.path, moved.sha256) == ("moved.bin", SHA256)
    assert (project / "moved.bin").read_bytes() == CONTENT
    assert not server.log
