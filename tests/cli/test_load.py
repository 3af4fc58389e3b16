"""``cog-nix load`` of what anybody may have written: nothing runs, memory stays flat."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cli import load
from cog_nix.cli.session import Session
from cog_nix.errors import ImageError
from cog_nix.image import archive_program
from cog_nix.image.description import ImageDescription
from cog_nix.plugins import manager as plugins
from tests.hooks.docker.described import DescribedStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LARGE = 3 << 30
FLAT = 150 << 20
"""Bytes of memory that an import of what is measured and of typer leave far below."""
LAYER = bytes(range(256)) * 40


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


CONFIG = json.dumps({"rootfs": {"diff_ids": [digest_of(LAYER)]}}).encode()
DOCKER = {
    "config.json": CONFIG,
    "layer.tar": LAYER,
    "manifest.json": json.dumps(
        [{"Config": "config.json", "Layers": ["layer.tar"], "RepoTags": ["a:b"]}]
    ).encode(),
}


def layout(config: bytes = CONFIG, layer: bytes = LAYER, **changes: Any) -> dict[str, bytes]:
    """Return the files of a layout (image-spec, image-layout.md)."""

    def named(data: bytes) -> dict[str, Any]:
        return {"digest": digest_of(data), "size": len(data)}

    manifest = json.dumps({"config": named(config), "layers": [named(layer)], **changes}).encode()
    files = {f"blobs/sha256/{digest_of(one)[7:]}": one for one in (config, layer, manifest)}
    return {"index.json": json.dumps({"manifests": [named(manifest)]}).encode(), **files}


def tar_of(files: Mapping[str, bytes | tarfile.TarInfo], prefix: str = "") -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for name, data in files.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(prefix + name)
            if isinstance(data, bytes):
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data) if isinstance(data, bytes) else None)
    return sink.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def written(path: Path) -> bytes:
    """Return the layer that comes out of an archive."""
    sink = io.BytesIO()
    with archive_program.opened(path) as archive:
        archive_program.write(archive, sink, ["x:y"], frozenset())
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as tar:
        stream = tar.extractfile(f"{digest_of(LAYER)[7:]}.tar")
        assert stream
        return stream.read()


@pytest.mark.parametrize("files", [DOCKER, layout()], ids=["docker", "oci"])
@pytest.mark.parametrize("prefix", ["", "./"])
@pytest.mark.parametrize(
    "compress",
    [
        bytes,
        gzip.compress,
        bz2.compress,
        lzma.compress,
        lambda data: lzma.compress(data[:700]) + lzma.compress(data[700:]),
    ],
    ids=["plain", "gzip", "bzip2", "xz", "xz of two streams"],
)
def test_archives_are_read(
    tmp_path: Path, files: dict[str, bytes], prefix: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "image"
    path.write_bytes(compress(tar_of(files, prefix)))
    assert written(path) == LAYER


def test_zstandard_is_told_how_to_go_about_it(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    with pytest.raises(ImageError, match="zstd -dc"), archive_program.opened(tmp_path / "image"):
        pass


_OTHER = b"other" * 2048
HOSTILE: dict[str, tuple[bytes, str]] = {
    "absolute name": (
        tar_of({**DOCKER, "manifest.json": DOCKER["manifest.json"].replace(b"config.json", b"/etc/passwd")}),
        "not in it",
    ),
    "name above": (
        tar_of({**DOCKER, "manifest.json": DOCKER["manifest.json"].replace(b"layer.tar", b"../../layer")}),
        "not in it",
    ),
    "link above": (tar_of({**DOCKER, "layer.tar": link("layer.tar", "../../etc/passwd")}), "not in it"),
    "link to itself": (
        tar_of({**DOCKER, "layer.tar": link("layer.tar", "layer.tar")}),
        "not a regular file",
    ),
    "hard link to itself": (
        tar_of({**DOCKER, "layer.tar": link("layer.tar", "layer.tar", tarfile.LNKTYPE)}),
        "not a regular file",
    ),
    "hard link outside": (
        tar_of({**DOCKER, "layer.tar": link("layer.tar", "/etc/passwd", tarfile.LNKTYPE)}),
        "not in it",
    ),
    "device": (
        tar_of({**DOCKER, "layer.tar": link("layer.tar", "", tarfile.CHRTYPE)}),
        "is not a regular file",
    ),
    "FIFO": (
        tar_of({**DOCKER, "config.json": link("config.json", "", tarfile.FIFOTYPE)}),
        "is not a regular file",
    ),
    "name twice": (tar_of({**DOCKER, "./layer.tar": _OTHER}), "more than once"),
    "cut off": (tar_of(DOCKER)[:6000], "unexpected end of data"),
    "compressed and cut off": (gzip.compress(tar_of(DOCKER))[:-200], "Compressed file ended"),
    "xz and cut off": (lzma.compress(tar_of(DOCKER))[:-100], "middle of a compressed block"),
    "deep JSON": (tar_of({**DOCKER, "manifest.json": b"[" * 200_000}), "neither"),
    "other JSON": (
        tar_of({**DOCKER, "manifest.json": b'[{"Config": 1, "Layers": {}, "RepoTags": 2}]'}),
        "neither",
    ),
    "two images": (tar_of({**DOCKER, "manifest.json": b"[{}, {}]"}), "holds 2 images"),
    "other layers than named": (
        tar_of({**DOCKER, "config.json": b'{"rootfs": {"diff_ids": []}}'}),
        "names 1 layers, and its configuration 0",
    ),
    "digest that is a path": (
        tar_of({**DOCKER, "config.json": b'{"rootfs": {"diff_ids": ["sha256:../../x"]}}'}),
        "is not a digest",
    ),
    "another layer": (
        tar_of({**layout(), f"blobs/sha256/{digest_of(LAYER)[7:]}": _OTHER}),
        "not what its name",
    ),
    "another configuration": (
        tar_of({**layout(), f"blobs/sha256/{digest_of(CONFIG)[7:]}": CONFIG + b" "}),
        "not what its name",
    ),
    "size that lies": (
        tar_of(layout(config=CONFIG, changed=1) | {"index.json": b'{"manifests": [{"digest": 1}]}'}),
        "is not a digest",
    ),
    "blob above": (
        tar_of({**layout(), "index.json": b'{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}'}),
        "is not a digest",
    ),
    "nothing": (b"", "neither"),
    "zeros": (bytes(10240), "it has no"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused(tmp_path: Path, name: str) -> None:
    data, words = HOSTILE[name]
    (tmp_path / "image").write_bytes(data)
    with pytest.raises(ImageError, match=words) as caught:
        written(tmp_path / "image")
    assert "neither an image that cog-nix built" in caught.value.message


@pytest.mark.parametrize("kind", ["link", "absolute link", "folder link", "FIFO", "device"])
def test_a_folder_leads_nowhere_else(tmp_path: Path, kind: str) -> None:
    """A layer that is named by its digest, so that only the place is wrong."""
    root, outside = tmp_path / "layout", tmp_path / "outside"
    for name, data in layout().items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    assert written(root) == LAYER
    blob = root / "blobs/sha256" / digest_of(LAYER)[7:]
    blob.unlink()
    outside.write_bytes(LAYER)
    match kind:
        case "link":
            blob.symlink_to("../../../outside")
        case "absolute link":
            blob.symlink_to(outside)
        case "folder link":
            (root / "blobs").rename(tmp_path / "blobs")
            (tmp_path / "blobs/sha256" / blob.name).write_bytes(LAYER)
            (root / "blobs").symlink_to("../blobs")
        case "FIFO":
            os.mkfifo(blob)
        case _:
            blob.symlink_to("/dev/zero")
    with pytest.raises(ImageError, match=r"leads elsewhere|is not a file"):
        written(root)


def test_a_layer_that_is_linked_within_the_archive(tmp_path: Path) -> None:
    """As older Docker writes one that stands in an image twice."""
    path = tmp_path / "image"
    manifest = DOCKER["manifest.json"].replace(b"layer.tar", b"b/layer.tar")
    files = {**DOCKER, "manifest.json": manifest, "a/layer.tar": LAYER}
    path.write_bytes(tar_of({**files, "b/layer.tar": link("b/layer.tar", "../a/layer.tar")}))
    assert written(path) == LAYER


def _peak(code: str, *arguments: str, stdin: Any = subprocess.DEVNULL) -> int:
    """Run Python that ends well or with an ImageError; return the most memory that it had, in bytes."""
    script = f"""
import sys
from pathlib import Path
from cog_nix.image import archive_program
from cog_nix.errors import ImageError
from cog_nix.image.description import ImageDescription
try:
    {code}
except ImageError:
    pass
# ru_maxrss would count what this process had before it became the child (getrusage(2), "Notes").
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], stdin=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout) * 1024


OPEN = """with archive_program.opened(Path(sys.argv[1])) as found:
        archive_program.write(found, open("/dev/null", "wb"), [], frozenset())"""


def sparse(path: Path, start: bytes = b"", size: int = LARGE) -> Path:
    with path.open("wb") as stream:
        stream.write(start)
        stream.truncate(size)
    return path


def _claims(name: str, size: int, kind: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def test_memory_stays_flat_whatever_a_file_holds(tmp_path: Path) -> None:
    """A file of 3 GB: zeros, a header of that size, a manifest of that size, a description of that size."""
    image = b"#!/bin/sh\n# Writes the image \n__IMAGE__\n"
    starts = [
        b"",
        _claims("x", LARGE - 1024, tarfile.XHDTYPE),
        _claims("x", LARGE - 1024, tarfile.GNUTYPE_LONGNAME),
    ]
    starts += [_claims("manifest.json", LARGE - 1024, tarfile.REGTYPE), image]
    for start in starts:
        path = sparse(tmp_path / "image", start)
        assert _peak(OPEN, str(path)) < FLAT, start[:100]
        assert _peak("ImageDescription.read(Path(sys.argv[1]))", str(path)) < FLAT, start[:100]


@pytest.mark.slow
def test_memory_stays_flat_with_a_large_layer(tmp_path: Path) -> None:
    """In a Docker archive, where nothing is compared, it is written as it is."""
    path = tmp_path / "image"
    head = tar_of({key: DOCKER[key] for key in ("config.json", "manifest.json")}).rstrip(b"\0")
    head += bytes(-len(head) % 512)
    sparse(path, head + _claims("layer.tar", 400 << 20, tarfile.REGTYPE), 401 << 20)
    assert _peak(OPEN, str(path)) < FLAT


@pytest.mark.slow
@pytest.mark.parametrize(
    "compress", [gzip.compress, lambda data: lzma.compress(data, preset=0)], ids=["gzip", "xz"]
)
def test_memory_stays_flat_with_bombs(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    """200 MB of zeros in a header, and 60 000 members, in some kilobytes."""
    path = tmp_path / "image"
    path.write_bytes(compress(_claims("x", 200 << 20, tarfile.XHDTYPE) + bytes(200 << 20)))
    assert _peak(OPEN, str(path)) < FLAT
    path.write_bytes(compress(_claims("x", 0, tarfile.REGTYPE) * 200_000))
    assert _peak(OPEN, str(path)) < FLAT


def test_what_a_file_of_xz_asks_for_is_limited(tmp_path: Path) -> None:
    data = lzma.compress(
        tar_of(DOCKER), filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    )
    (tmp_path / "image").write_bytes(data)
    with pytest.raises(ImageError, match="neither"):
        written(tmp_path / "image")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a folder that looks like a Nix store of this user."""
    root = tmp_path / "nix/store"
    root.mkdir(parents=True)
    (tmp_path / "nix/var/nix/db").mkdir(parents=True)
    return root


def _marked(path: Path, told: Path) -> None:
    """Make a program tell that it ran, whatever else it is."""
    mode = path.stat().st_mode
    path.chmod(0o755)
    path.write_text(path.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\ntouch {told}\n", 1))
    path.chmod(mode)


def _load(monkeypatch: pytest.MonkeyPatch, file: str) -> bytes:
    """Return the layer that a runtime gets of a file; it does what all of them do."""
    got: list[bytes] = []

    class Runtime:
        def __init__(self, *_: object) -> None:
            """Take the session."""

        def available(self) -> None:
            """Say that it is."""

        def load(self, program: Path, *_: object) -> str:
            from cog_nix.image import delta, pieces  # noqa: PLC0415 - only here

            built = ImageDescription.ask(program)
            if delta.is_described(built):
                data = b"".join(pieces.read(delta.docker_archive(built, ["x:y"], ())))
            else:
                data = subprocess.check_output([program])
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                stream = tar.extractfile(f"{built.diff_ids[0][7:]}.tar")
                assert stream
                got.append(stream.read())
            return built.id

    monkeypatch.setattr(Session, "find_runtime", Runtime)
    load.load(Session(plugins.load({"COG_NIX_PLUGINS": "0"})), load._Options(file=file))
    return got[0]


def test_an_image_in_the_store_is_streamed_and_not_run(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = DescribedStore(store).build({"a": b"x"})
    built.path.chmod(0o555)
    _marked(built.path, tmp_path / "ran")
    (tmp_path / "result").symlink_to(built.path)
    assert digest_of(_load(monkeypatch, str(tmp_path / "result"))) == built.diff_ids[0]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("where", ["elsewhere", "writable", "no database", "another name"])
def test_an_image_outside_of_the_store_is_refused(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    built = DescribedStore(store).build({"a": b"x"})
    built.path.chmod(0o755 if where == "writable" else 0o555)
    _marked(built.path, tmp_path / "ran")
    path = built.path
    if where == "elsewhere":
        path = built.path.rename(tmp_path / built.path.name)
    elif where == "no database":
        (store.parent / "var/nix/db").rmdir()
    elif where == "another name":
        path = built.path.rename(store / "result")
    with pytest.raises(ImageError, match="is not in a Nix store"):
        _load(monkeypatch, str(path))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [b"#!/bin/sh\ntouch ran\n", b"#!/bin/sh\ntouch ran\nexit\n" + tar_of(DOCKER)]
)
def test_a_program_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "image"
    path.write_bytes(content)
    path.chmod(0o755)
    with pytest.raises(ImageError, match="neither an image that cog-nix built"):
        _load(monkeypatch, "image")
    assert not (tmp_path / "ran").exists()


def test_an_executable_archive_is_an_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").write_bytes(tar_of(DOCKER))
    (tmp_path / "image").chmod(0o755)
    assert _load(monkeypatch, str(tmp_path / "image")) == LAYER


def test_a_fifo_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: path.write_bytes(tar_of(layout())))
    thread.start()
    assert _load(monkeypatch, str(path)) == LAYER
    thread.join()


@pytest.mark.parametrize("file", ["/dev/zero", "/dev/null", "missing", "a" * 300])
def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError):
        _load(monkeypatch, file)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(ImageError, match="No space left"):
        load._kept(io.BytesIO(b"x"), tmp_path)


def test_a_parts_place_is_in_the_store(store: Path) -> None:
    built = DescribedStore(store).build({"a": b"x"})
    text = built.path.read_text()
    built.path.write_text(text.replace("/nix/store/", "/nix/store/../../", 1))
    with pytest.raises(ImageError):
        ImageDescription.read(built.path)


def test_the_measure_measures() -> None:
    assert _peak("held = bytearray(200 << 20)") > FLAT
