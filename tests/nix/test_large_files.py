"""Large files of a project: in a layer that edits of the source leave alone, and in the image as ever."""

from __future__ import annotations

import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.project.large import LEAST, large_files, with_folders

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


def test_what_is_large(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(LEAST - 1))
    (tmp_path / "b").write_bytes(bytes(LEAST))
    (tmp_path / "link").symlink_to("b")
    (tmp_path / "folder").mkdir()
    assert list(large_files(tmp_path, ["a", "b", "link", "folder", "gone"])) == ["b"]
    assert with_folders(["x/y/b", "c"]) == {"x/y": 1, "x": 1, ".": 1, "x/y/b": 1, "c": 1}
