"""Large files of a project: in a layer that edits of the source leave alone, and in the image as ever."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.project.large import LEAST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import stream


def _project_files(image: Path) -> dict[str, list[tuple[str, int, int]]]:
    """Return what each layer has below /src: layer number by path, with size and mode."""
    found: dict[str, list[tuple[str, int, int]]] = {}
    with (
        subprocess.Popen([image], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            if member.name.endswith(".tar"):
                with tarfile.open(fileobj=archive.extractfile(member), mode="r|") as layer:
                    for one in layer:
                        if one.name.startswith("src/"):
                            found.setdefault(one.name, []).append((member.name, one.size, one.mode))
    return found


@pytest.mark.nix
@pytest.mark.network
def test_an_edit_leaves_their_layer_alone(
    hello: tuple[Any, stream.Image], make_build: Callable[..., Any], copy: Callable[..., Path]
) -> None:
    plain, before = hello
    project = copy("with-weights", plain.project / "cog-nix.lock")
    (project / "model/small").mkdir(parents=True)
    (project / "model/large.bin").write_bytes(bytes(LEAST))
    (project / "model/small/config.json").write_text("{}")
    (project / ".dockerignore").write_text("model/ignored.bin\n")
    (project / "model/ignored.bin").write_bytes(bytes(LEAST))
    build = make_build(project, plain.store)
    first = build.image()
    assert [layer["name"] for layer in first["layers"]] == [
        *(layer["name"] for layer in before["layers"][:-1]),
        "weights",
        "source",
    ]
    files = _project_files(build.path())
    assert "src/model/ignored.bin" not in files
    [(weights, size, mode)] = files["src/model/large.bin"]
    assert (size, mode) == (LEAST, 0o644)
    [(source, *_)] = files["src/model/small/config.json"]
    assert source != weights
    assert {(size, mode) for _, size, mode in files["src/model"]} == {(0, 0o755)}
    with (project / "run.py").open("a") as stream_:
        stream_.write("# an edit\n")
    second = build.image()
    changed = {
        one["name"]
        for one, other in zip(first["layers"], second["layers"], strict=True)
        if one["diff_id"] != other["diff_id"]
    }
    assert changed == {"source"}
    # What was built is remembered, so the store alone is looked at.
    in_store = [path for path in (plain.store / "nix/store").rglob("*") if path.is_file()]
    assert not [path for path in in_store if path.name == "large.bin"]
    assert max(path.stat().st_size for path in in_store if "-files-weights" in str(path)) < LEAST // 100


@pytest.mark.nix
@pytest.mark.network
def test_the_program_finds_them_and_says_which_it_misses(
    hello: tuple[Any, stream.Image], make_build: Callable[..., Any], copy: Callable[..., Path]
) -> None:
    plain, _ = hello
    project = copy("with-a-model", plain.project / "cog-nix.lock")
    for name in ("one.bin", "two.bin"):
        (project / name).write_bytes(name.encode() + bytes(LEAST))
    build = make_build(project, plain.store)
    before = build.image()
    assert [layer["name"] for layer in before["layers"]][-3:] == ["weights", "weights", "source"]
    assert _digests(project / "result") >= {layer["diff_id"] for layer in before["layers"][-3:]}
    (project / "two.bin").write_bytes(b"another" + bytes(LEAST))
    changed = [
        one["diff_id"] != other["diff_id"]
        for one, other in zip(before["layers"], build.image()["layers"], strict=True)
    ]
    assert changed == [False] * (len(changed) - 2) + [True, False], "a changed file changes one layer"
    moved = project.rename(project.with_name("with-a-moved-model"))
    (moved / "two.bin").rename(moved / "three.bin")
    ran = subprocess.run([moved / "result"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 1
    assert b"two.bin" in ran.stderr


def _digests(image: Path) -> set[str]:
    """Return the digests of an archive's layers, as they are."""
    with (
        subprocess.Popen([image], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        return {
            f"sha256:{hashlib.sha256(archive.extractfile(member).read()).hexdigest()}"  # type: ignore[union-attr]
            for member in archive
            if member.name.endswith(".tar")
        }
