"""Damaged and hostile packages: one line that names the file, and nothing lands elsewhere."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import deb
import foreign
import pytest
import python_tree
import seed

if TYPE_CHECKING:
    from collections.abc import Callable

BUILDERS = Path(__file__).resolve().parents[2] / "nix/builders"


def run(folder: Path, builder: str, spec: dict[str, object]) -> subprocess.CompletedProcess[str]:
    """Start a builder as a derivation does, but for the sandbox."""
    scratch = folder / "scratch"
    scratch.mkdir()
    (folder / "spec.json").write_text(json.dumps(spec))
    places = {
        "specPath": folder / "spec.json",
        "NIX_BUILD_TOP": scratch,
        "out": folder / "out",
        "tree": folder / "tree",
    }
    return subprocess.run(
        [sys.executable, "-B", "-m", "start", builder],
        env={**os.environ, "PYTHONPATH": str(BUILDERS), **{name: str(path) for name, path in places.items()}},
        capture_output=True,
        text=True,
        check=False,
    )


def zipped(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one/__init__.py", "x = 1\n" * 100)
    return path.read_bytes()


HOSTILE = {
    "empty": b"",
    "no-archive": b"PK\x03\x04 and then nothing",
    "cut-off": None,
    "text": b"404 Not Found",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("builder", ["wheel", "sdist", "debs", "tree", "toolkit", "standalone"])
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, builder: str, content: bytes | None) -> None:
    good = zipped(tmp_path / "good.zip")
    name = {"wheel": "one-1-py3-none-any.whl", "standalone": "python.tar.gz"}.get(builder, "one.deb")
    file = tmp_path / name
    file.write_bytes(good[:-40] if content is None else content)
    wheel = {"wheel": str(file), "filename": name, "python": "3.13", "headers": "", "tree": "/nowhere"}
    source = {
        "name": "one",
        "version": "1",
        "archive": str(file),
        "subdirectory": "",
        "sees": [],
        "requires": [],
    }
    package = {"name": "one", "output": "out", "path": str(file), "always": True}
    spec = {
        "wheel": wheel,
        "sdist": {**source, "python": "3.13", "root": "/nowhere"},
        "debs": {"packages": [package], "lower": []},
        "tree": {"debs": [str(file)]},
        "toolkit": {
            "debs": [str(file)],
            "wheels": [],
            "libraries": [],
            "python": "3.13",
            "host_compiler": "",
        },
        "standalone": {"archive": str(file), "python": "3.13", "seed": "/nowhere"},
    }[builder]
    done = run(tmp_path, builder, spec)  # type: ignore[arg-type]
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("cog-nix: ")
    assert ("one-1" if builder == "sdist" else name) in last


def _info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


LIBRARY = "./usr/lib/python3.13"
OUT = {
    "dots": [(_info(f"{LIBRARY}/../../../../up.py"), b"x")],
    "absolute": [(_info("/usr/lib/python3.13/os.py"), b"x")],
    "link": [
        (_info(f"{LIBRARY}/x", tarfile.SYMTYPE, "../../../.."), b""),
        (_info(f"{LIBRARY}/x/up.py"), b"x"),
    ],
    "link-in-two-steps": [
        (_info(f"{LIBRARY}/a", tarfile.SYMTYPE, ".."), b""),
        (_info(f"{LIBRARY}/b", tarfile.SYMTYPE, "a/../../.."), b""),
        (_info(f"{LIBRARY}/b/up.py"), b"x"),
    ],
    "hard-link": [(_info(f"{LIBRARY}/x", tarfile.LNKTYPE, "../../etc/passwd"), b"")],
    "file-over-link": [(_info(f"{LIBRARY}/x", tarfile.SYMTYPE, "y"), b""), (_info(f"{LIBRARY}/x"), b"x")],
}


@pytest.mark.parametrize("members", OUT.values(), ids=OUT)
def test_what_is_unpacked_without_a_sandbox_stays_in_its_folder(
    make_deb: Callable[..., Path], tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    package = make_deb(*members)
    before = {*tmp_path.iterdir()}
    with pytest.raises(foreign.ForeignFileError, match=r"\.deb: this package .*(leads out|twice)"):
        python_tree.unpack([package], tmp_path / "tree")
    assert {*tmp_path.iterdir()} - before <= {tmp_path / "tree"}


def test_absolute_links_are_made_relative_to_the_tree(make_deb: Callable[..., Path], tmp_path: Path) -> None:
    name = "./usr/bin/python3"
    link = _info(name, tarfile.SYMTYPE, "/usr/bin/python3.13")
    package = make_deb((_info("./usr/bin/python3.13"), b"x"), (link, b""))
    python_tree.unpack([package], tmp_path / "tree")
    assert (tmp_path / "tree/usr/bin/python3").read_bytes() == b"x"


def test_a_wheel_of_the_seed_is_named(make_deb: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "one.whl").write_bytes(b"none")
    package = make_deb((_info("./usr/bin/python3.13"), b"x"))
    with pytest.raises(foreign.ForeignFileError, match=r"one\.whl: this wheel"):
        seed.make("3.13", [package], [tmp_path / "one.whl"], tmp_path / "out", "")


def test_members_that_are_no_files_are_left_out(make_deb: Callable[..., Path], tmp_path: Path) -> None:
    device = _info(f"{LIBRARY}/null", tarfile.CHRTYPE)
    python_tree.unpack([make_deb((device, b""), (_info(f"{LIBRARY}/os.py"), b"x"))], tmp_path / "tree")
    assert [one.name for one in (tmp_path / "tree/usr/lib/python3.13").iterdir()] == ["os.py"]


def test_a_size_that_is_none(tmp_path: Path) -> None:
    header = b"!<arch>\n" + b"%-48s%-10s`\n" % (b"data.tar", b"\xc2\xb2")
    (tmp_path / "one.deb").write_bytes(header)
    with pytest.raises(deb.DebError, match=r"one\.deb is damaged"):
        [*deb.data(tmp_path / "one.deb")]


def test_bytes_of_a_tar_are_enough_for_a_message() -> None:
    tar = io.BytesIO(b"\0" * 100)
    with pytest.raises(foreign.ForeignFileError, match=r"x\.tar: this"), foreign.reading("x.tar"):
        tarfile.open(fileobj=tar).close()
