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
import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import archive
import deb
import dpkg
from target import BUILDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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


def _packages(packages: Sequence[Path]) -> Iterator[archive.Entry]:
    """Yield the files of packages, without documentation, as Debian's slim images leave it out."""
    for name, mode in _FOLDERS:
        yield archive.Entry(name, mode, tarfile.DIRTYPE)
    for name, text in _FILES.items():
        yield archive.Entry(name, 0o644, data=text.encode())
    certificates: dict[str, bytes] = {}
    for package in packages:
        for info, tar in deb.data(package):
            path = dpkg.merged(info.name)
            if deb.left_out(path):
                continue
            target = dpkg.merged(info.linkname.removeprefix("./")) if info.islnk() else info.linkname
            data = deb.content(info, tar).read() if info.isreg() else b""
            if path.startswith(_CERTIFICATES) and path.endswith(".crt"):
                certificates[path] = data
            kind = tarfile.REGTYPE if info.isreg() else info.type
            yield archive.Entry(path, info.mode & 0o1777, kind, data=data, target=target)
    bundle = b"".join(certificates[name] for name in sorted(certificates))
    yield archive.Entry("etc/ssl/certs/ca-certificates.crt", 0o644, data=bundle)


def _wheels(wheels: Sequence[Path]) -> Iterator[archive.Entry]:
    """Yield the files of wheels (PyPA specification, "Binary distribution format")."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as members:
            for member in sorted(members.infolist(), key=lambda one: one.filename):
                place = None if member.is_dir() else _place(member.filename)
                if place:
                    yield from archive.folders(place.rpartition("/")[0])
                    mode = 0o755 if place.startswith(_SCHEME["scripts"]) else 0o644
                    yield archive.Entry(place, mode, data=members.read(member))


def _place(name: str) -> str | None:
    """Return where a wheel's file goes; None for headers: nothing is compiled there."""
    first, _, rest = name.partition("/")
    if not first.endswith(".data"):
        return f"{SITE}/{name}"
    kind, _, inside = rest.partition("/")
    return f"{_SCHEME[kind]}/{inside}" if kind in _SCHEME else None


def _folder(folder: Path, place: str) -> Iterator[archive.Entry]:
    """Yield a folder's files at a place, everything readable by everybody."""
    yield from archive.folders(place)
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts):
        name = f"{place}/{path.relative_to(folder).as_posix()}"
        if path.is_dir() and not path.is_symlink():
            yield archive.Entry(name, 0o755, tarfile.DIRTYPE)
        else:
            yield archive.normalised(path, name)


def _once(entries: Iterable[archive.Entry]) -> Iterator[archive.Entry]:
    """Leave out entries whose path was there before."""
    seen: set[str] = set()
    for entry in entries:
        if entry.path not in seen:
            seen.add(entry.path)
            yield entry


def _layers(spec: dict[str, Any], blobs: Path) -> Iterator[tuple[str, int]]:
    """Write each layer as a blob; yield its SHA-256 and size."""
    layers = [_packages([Path(path) for path in spec["packages"]])]
    if spec["wheels"]:
        layers.append(_wheels([Path(path) for path in spec["wheels"]]))
    layers += [_folder(Path(folder), place) for folder, place in spec["folders"]]
    for entries in layers:
        blob = blobs / "new"
        archive.write_tar(blob, _once(entries))
        found = archive.describe([archive.whole(blob)])
        with blob.open("ab") as sink:
            sink.write(archive.END)
        digest = found["diff_id"].removeprefix("sha256:")
        blob.rename(blobs / digest)
        yield digest, found["size"]


def make(spec: dict[str, Any], out: Path) -> None:
    """Write the layout to ``out``, which must not exist (image-spec, image-layout.md)."""
    blobs = out / "blobs/sha256"
    blobs.mkdir(parents=True)
    layers = list(_layers(spec, blobs))
    config = {
        "architecture": BUILDER.architecture,
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
