"""Make an image of unpacked Debian packages and folders: an OCI image layout with uncompressed layers.

Runs outside Nix, under any Python from 3.11 on, and starts nothing::

    python builder_image.py SPEC OUT

SPEC is a JSON file::

    {"packages": [path, …], "wheels": [path, …], "folders": [[folder, place], …], "config": {…}}

The first layer has the packages, the next the wheels, where Debian's Python looks for what is installed
beside it, and each further one a folder at a place. Maintainer scripts are not run; what
programs need of them (certificates' bundle, users) is written here. The result depends on those files alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import zipfile
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import archive
import deb
import dpkg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_EPOCH = "1970-01-01T00:00:00Z"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_CERTIFICATES = "usr/share/ca-certificates/"
SITE = "usr/local/lib/python3.13/dist-packages"
_SCHEME = {"purelib": SITE, "platlib": SITE, "scripts": "usr/local/bin", "data": "usr/local"}
"""Where a wheel's own kinds of files go, as Debian's Python has it for what is installed beside it."""
_FOLDERS = (("cog-nix", 0o1777), ("home", 0o1777), ("nix", 0o1777), ("tmp", 0o1777), ("var/tmp", 0o1777))
"""Folders that every user may write to: one for a volume, one for homes, the place of Nix's store."""
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


class _Hashing:
    """A writable file that knows its digest and size."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Pass the bytes on."""
        self.sha256.update(data)
        self.size += len(data)
        return self._raw.write(data)

    def tell(self) -> int:
        """Return how much was written."""
        return self.size


class _Layer:
    """A tar that is written entry by entry; a path is taken once, by who comes first."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._hashing = _Hashing(sink)
        self._tar = tarfile.TarFile(fileobj=self._hashing, mode="w", format=tarfile.PAX_FORMAT)  # type: ignore[arg-type]
        self._names: set[str] = set()

    def add(self, info: tarfile.TarInfo, content: IO[bytes] | None = None) -> None:
        """Add a member under root's name, without setuid bits and clocks."""
        if info.name in self._names:
            return
        self._names.add(info.name)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mtime = archive.MTIME
        info.mode &= 0o1777
        info.pax_headers = {}
        self._tar.addfile(info, content)

    def file(self, name: str, data: bytes) -> None:
        """Add a file that anybody may read."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        self.add(info, io.BytesIO(data))

    def folder(self, name: str, mode: int = 0o755) -> None:
        """Add a folder."""
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode
        self.add(info)

    def close(self) -> tuple[str, int]:
        """End the tar; return its SHA-256 and size."""
        self._tar.close()
        return self._hashing.sha256.hexdigest(), self._hashing.size


def _packages(layer: _Layer, packages: Sequence[Path]) -> None:
    """Unpack packages into a layer, without documentation, as Debian's slim images leave it out."""
    for name, mode in _FOLDERS:
        layer.folder(name, mode)
    for name, text in _FILES.items():
        layer.file(name, text.encode())
    certificates: dict[str, bytes] = {}
    for package in packages:
        for info, tar in deb.data(package):
            info.name = dpkg.merged(info.name)
            if deb.left_out(info.name):
                continue
            if info.islnk():
                info.linkname = dpkg.merged(info.linkname.removeprefix("./"))
            content = deb.content(info, tar) if info.isreg() else None
            if content and info.name.startswith(_CERTIFICATES) and info.name.endswith(".crt"):
                certificates[info.name] = data = content.read()
                content = io.BytesIO(data)
            layer.add(info, content)
    bundle = b"".join(certificates[name] for name in sorted(certificates))
    layer.file("etc/ssl/certs/ca-certificates.crt", bundle)


def _wheels(layer: _Layer, wheels: Sequence[Path]) -> None:
    """Unpack wheels into a layer (PyPA specification, "Binary distribution format")."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as members:
            for member in sorted(members.infolist(), key=lambda one: one.filename):
                if not member.is_dir():
                    _wheel_file(layer, member.filename, members.read(member))


def _wheel_file(layer: _Layer, name: str, data: bytes) -> None:
    first, _, rest = name.partition("/")
    place = f"{SITE}/{name}"
    if first.endswith(".data"):
        kind, _, inside = rest.partition("/")
        if kind not in _SCHEME:
            return  # headers: nothing is compiled there
        place = f"{_SCHEME[kind]}/{inside}"
    for entry in archive.folders(place.rpartition("/")[0]):
        layer.folder(entry.path)
    info = tarfile.TarInfo(place)
    info.size, info.mode = len(data), 0o755 if place.startswith(_SCHEME["scripts"]) else 0o644
    layer.add(info, io.BytesIO(data))


def _folder(layer: _Layer, folder: Path, place: str) -> None:
    """Put a folder's files at a place, everything readable by everybody."""
    for entry in archive.folders(place):
        layer.folder(entry.path)
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts):
        name = f"{place}/{path.relative_to(folder).as_posix()}"
        if path.is_symlink():
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
            layer.add(info)
        elif path.is_dir():
            layer.folder(name)
        else:
            status = path.stat()
            info = tarfile.TarInfo(name)
            info.size, info.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
            with path.open("rb") as stream:
                layer.add(info, stream)


def _layers(spec: dict[str, Any], blobs: Path) -> Iterator[tuple[str, int]]:
    """Write each layer as a blob; yield its SHA-256 and size."""
    writers: list[Callable[[_Layer], None]] = [lambda layer: _packages(layer, [*map(Path, spec["packages"])])]
    if spec["wheels"]:
        writers.append(lambda layer: _wheels(layer, [*map(Path, spec["wheels"])]))
    for folder, place in spec["folders"]:
        writers.append(partial(_folder, folder=Path(folder), place=place))
    for write in writers:
        with (blobs / "new").open("wb") as sink:
            layer = _Layer(sink)
            write(layer)
            digest, size = layer.close()
        (blobs / "new").rename(blobs / digest)
        yield digest, size


def make(spec: dict[str, Any], out: Path) -> None:
    """Write the layout to ``out``, which must not exist (image-spec, image-layout.md)."""
    blobs = out / "blobs/sha256"
    blobs.mkdir(parents=True)
    layers = list(_layers(spec, blobs))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": _EPOCH,
        "config": spec["config"],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest, _ in layers]},
        "history": [{"created": _EPOCH, "created_by": "cog-nix"} for _ in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _blob(blobs, config, _CONFIG),
        "layers": [
            {"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": size} for digest, size in layers
        ],
    }
    index = {"schemaVersion": 2, "manifests": [_blob(blobs, manifest, _MANIFEST)]}
    (out / "index.json").write_text(json.dumps(index))
    (out / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


def _blob(blobs: Path, value: object, kind: str) -> dict[str, object]:
    data = json.dumps(value, sort_keys=True).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}


def main() -> None:
    """Read the command line."""
    make(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
