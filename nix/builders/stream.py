"""Write an image as a Docker archive (``docker save`` format) to stdout, from layers in the store.

The image that Nix builds is a small executable that runs this module with the image's description::

    result [--tag NAME:TAG]… [--skip DIFF_ID]… | docker load
    result --inspect

``--skip`` leaves the bytes of a layer out: a daemon that holds it already does not ask for them. Files of a
project that are not in the store (docs/design/large-files.md) are looked for in the folder that the program,
or a link to it, is started from, in this one, where they were when the image was built, and in the store of
weights.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, TypedDict, final

if TYPE_CHECKING:
    from collections.abc import Sequence

END = bytes(1024)
MARK = "\n__IMAGE__\n"
"""Stands between the executable's script and the image's description."""

_CHUNK = 1 << 20


@final
class Part(TypedDict):
    """A range of bytes of a file in the store."""

    path: str
    offset: int
    size: int


@final
class Files(TypedDict):
    """Files of the project, each behind its header: a folder in the store lists them, and bytes of all."""

    files: str
    size: int


class Layer(TypedDict):
    """A layer: its digest, size in bytes, name, and the ranges whose concatenation (plus END) it is."""

    name: str
    diff_id: str
    size: int
    parts: list[Part | Files]


class Image(TypedDict):
    """An image's description: the bytes of its OCI configuration, its layers from bottom to top, its name."""

    config: str
    layers: list[Layer]
    tag: str


class _Concatenation(io.RawIOBase):
    """The bytes of a layer."""

    def __init__(self, layer: Layer, store: Path, roots: Sequence[Path]) -> None:
        self._current: IO[bytes] = io.BytesIO()
        self._parts: list[Part] = []
        for part in reversed(layer["parts"]):
            if "files" in part:
                from outside import ranges  # noqa: PLC0415 - few images have such files

                self._parts += reversed(ranges(layer["diff_id"], _real(part["files"], store), roots))
            else:
                self._parts.append({**part, "path": str(_real(part["path"], store))})
        self._left = 0
        self._end = END

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read from the part that is next."""
        while not self._left and self._parts:
            part = self._parts.pop()
            self._current.close()
            self._current = io.FileIO(part["path"])
            self._current.seek(part["offset"])
            self._left = part["size"]
        if self._left:
            data = self._current.read(min(len(buffer), self._left))
            if not data:
                raise EOFError(f"{self._current.name} is shorter than it was")
            self._left -= len(data)
        else:
            data, self._end = self._end[: len(buffer)], self._end[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the part that is open."""
        self._current.close()
        super().close()


def read(executable: Path) -> Image:
    """Return the description that an image's executable carries."""
    found: Image = json.loads(executable.read_text().partition(MARK)[2])
    return found


def _real(path: str, store: Path) -> Path:
    return store / Path(path).relative_to("/nix/store")


def is_outside(layer: Layer) -> bool:
    """Tell whether a layer has files that are not in the store."""
    return any("files" in part for part in layer["parts"])


def open_layer(layer: Layer, store: Path, roots: Sequence[Path] = ()) -> io.BufferedReader:
    """Open a layer's tar for reading.

    Args:
        layer: which.
        store: the folder that holds the store paths, ``/nix/store`` or where that really is.
        roots: folders in which files of the project may be.
    """
    return io.BufferedReader(_Concatenation(layer, store, roots), _CHUNK)


def image_id(image: Image) -> str:
    """Return ``sha256:…`` of the configuration, which is what Docker calls the image's id."""
    import hashlib  # noqa: PLC0415 - who makes an image imports this module as well, at every edit

    return f"sha256:{hashlib.sha256(image['config'].encode()).hexdigest()}"


def layer_file(layer: Layer) -> str:
    """Return the name of a layer's file in the archive."""
    return f"{layer['diff_id'].removeprefix('sha256:')}.tar"


def write(
    image: Image,
    store: Path,
    sink: IO[bytes],
    tags: list[str],
    skip: frozenset[str] = frozenset(),
    *,
    roots: Sequence[Path] = (),
) -> None:
    """Write the archive.

    Args:
        image: what to write.
        store: where store paths really are.
        sink: a binary file; need not seek.
        tags: references to give the image, ``name:tag``.
        skip: diff ids of layers to leave out.
        roots: folders in which files of the project may be.

    Raises:
        EOFError: a file is not what it was.
    """
    config_name = f"{image_id(image).removeprefix('sha256:')}.json"
    manifest = [
        {"Config": config_name, "RepoTags": tags, "Layers": [layer_file(layer) for layer in image["layers"]]}
    ]
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK) as tar:
        written: set[str] = set()
        for layer in image["layers"]:
            if layer["diff_id"] not in skip | written:
                written.add(layer["diff_id"])
                with open_layer(layer, store, roots) as stream:
                    if is_outside(layer):
                        from outside import Checked  # noqa: PLC0415 - few images have such files

                        checked = Checked(stream, layer["diff_id"])
                        _member(tar, layer_file(layer), checked, layer["size"])
                        checked.check()
                    else:
                        _member(tar, layer_file(layer), stream, layer["size"])
        for name, data in (
            (config_name, image["config"].encode()),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            _member(tar, name, io.BytesIO(data), len(data))


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


def _member(tar: tarfile.TarFile, name: str, stream: _Readable, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    tar.addfile(info, stream)


def inspect(image: Image) -> dict[str, object]:
    """Return what ``--inspect`` prints."""
    return {
        "id": image_id(image),
        "tag": image["tag"],
        "diff_ids": [layer["diff_id"] for layer in image["layers"]],
        "sizes": [layer["size"] for layer in image["layers"]],
        "names": [layer["name"] for layer in image["layers"]],
        "config": json.loads(image["config"]),
    }


def main() -> int:
    """Read the command line."""
    import argparse  # noqa: PLC0415 - as above

    parser = argparse.ArgumentParser(
        prog="result", description="Write this image as a Docker archive to stdout."
    )
    parser.add_argument("executable", help=argparse.SUPPRESS)
    parser.add_argument("--beside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(
        "--tag", action="append", metavar="NAME:TAG", help="reference to give the image (repeatable)"
    )
    parser.add_argument(
        "--skip", action="append", default=[], metavar="DIFF_ID", help="layer to leave out (repeatable)"
    )
    parser.add_argument(
        "--inspect", action="store_true", help="print id, layers and configuration as JSON instead"
    )
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))  # isolated Pythons (-I) leave it out
    executable = Path(options.executable)
    image = read(executable)
    if options.inspect:
        print(json.dumps(inspect(image), indent=2))  # noqa: T201 - a program's output
        return 0
    if sys.stdout.isatty():
        sys.stderr.write("This is a Docker archive; pipe it into 'docker load' or a file.\n")
        return 1
    try:
        with os.fdopen(sys.stdout.fileno(), "wb", buffering=_CHUNK, closefd=False) as sink:
            roots = [*([options.beside, options.beside.parent] if options.beside else []), Path.cwd()]
            tags = options.tag or [image["tag"]]
            write(image, executable.parent, sink, tags, frozenset(options.skip), roots=roots)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write("The reader went away before the whole image was written.\n")
        return 1
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        sys.stderr.write(f"The image was not written: {error.strerror}{where}.\n")
        return 1
    except EOFError as error:
        sys.stderr.write(f"The image was not written: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
