"""What is mounted only while a command runs: secrets as files, empty folders instead of caches.

A secret's bytes are in memory only, on the sandbox's tmpfs, and bound to where the command looks for them in
a mount namespace that ends with it. What the command prints is searched for them, and so is what it leaves.
"""

from __future__ import annotations

import mmap
import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import inputs
from failure import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cog_nix.config.commands import Place

_MEMORY = Path("/dev/shm")  # noqa: S108 - the sandbox's own
_SHOWN = b"***"
_LEAST_SECRET = 8
"""A secret of fewer bytes is found everywhere by chance."""
_LINKS = 40
"""As many symbolic links as Linux follows in a path (path_resolution(7))."""


class Mounts:
    """What was made for one command.

    Args:
        root: the file system.
    """

    def __init__(self, root: Path) -> None:
        self.binds: dict[str, Path] = {}
        """Files and folders to show inside, by path inside."""
        self.variables: dict[str, str] = {}
        """Variables that hold secrets."""
        self._root = root
        self._stubs: list[Path] = []
        self._memory = _MEMORY / "mounts"
        self._memory.mkdir()

    def empty(self, target: str) -> None:
        """Show an empty folder."""
        source = inputs.scratch() / f"mount-{len(self.binds)}"
        source.mkdir()
        self._show(source, target)

    def secret(self, place: Place, value: bytes) -> None:
        """Show a secret as a file, a variable, or both."""
        if place.env:
            self.variables[place.env] = os.fsdecode(value)
        if place.target:
            source = self._memory / str(len(self.binds))
            source.write_bytes(value)
            source.chmod(place.mode)
            self._show(source, place.target)

    def _show(self, source: Path, target: str) -> None:
        path = inside(self._root, target)
        self._stubs += _stub(path, folder=source.is_dir())
        self.binds[f"/{path.relative_to(self._root)}"] = source

    def remove(self) -> None:
        """Take everything away again, and the places to mount on that had to be made."""
        for path in reversed(self._stubs):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.is_file() and not path.stat().st_size:
                path.unlink()
        shutil.rmtree(self._memory)


@contextmanager
def prepared(root: Path, wanted: Sequence[Place], secrets: Mapping[str, bytes]) -> Iterator[Mounts]:
    """Prepare what a command's mounts ask for.

    A secret that nobody gave is not there, unless it is required (BuildKit, "RUN --mount=type=secret").
    """
    found = Mounts(root)
    try:
        for place in wanted:
            if place.kind == "empty":
                found.empty(place.target)
            elif place.id in secrets:
                found.secret(place, secrets[place.id])
            elif place.required:
                raise BuildError(f"secret {place.id}: not found")
        yield found
    finally:
        found.remove()


def inside(root: Path, path: str) -> Path:
    """Return where a path of the image is below ``root``, its symbolic links followed there."""
    found: list[str] = []
    pending = list(PurePosixPath(path).parts[1:])
    for _ in range(_LINKS * 8):
        if not pending:
            break
        part = pending.pop(0)
        if part == "..":
            found = found[:-1]
            continue
        here = root.joinpath(*found, part)
        if here.is_symlink():
            link = PurePosixPath(here.readlink())
            if link.is_absolute():
                found = []
            pending = [*(one for one in link.parts if one != "/"), *pending]
        else:
            found.append(part)
    return root.joinpath(*found)


def _stub(path: Path, *, folder: bool) -> list[Path]:
    """Make something to mount on; return what had to be made, outermost first."""
    missing = [parent for parent in (path, *path.parents) if not parent.exists()][::-1]
    for one in missing:
        if one == path and not folder:
            one.touch(0o600)
        else:
            one.mkdir()
    return missing


@contextmanager
def redacted(secrets: Iterable[bytes]) -> Iterator[None]:
    """Replace secrets in everything that is printed inside the block, by this process and its children."""
    words = secret_lines(secrets)
    if not words:
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                _write(redact(line, words))
        os._exit(0)
    os.close(reading)
    for number in (1, 2):
        os.dup2(writing, number)
    os.close(writing)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, original in zip((1, 2), kept, strict=True):
            os.dup2(original, number)
            os.close(original)
        os.waitpid(child, 0)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def secret_lines(secrets: Iterable[bytes]) -> list[bytes]:
    """Return what of some secrets must not be shown: each of their lines, the longest first."""
    lines = {line.strip() for secret in secrets for line in secret.splitlines()}
    return sorted(filter(None, lines), key=lambda line: (-len(line), line))


def redact(text: bytes, words: Sequence[bytes]) -> bytes:
    """Replace words by asterisks."""
    for word in words:
        text = text.replace(word, _SHOWN)
    return text


def refuse_leaks(files: Iterable[tuple[str, Path]], secrets: Mapping[str, bytes]) -> None:
    """End the build when a secret is in a file that would be in the image."""
    wanted = {name: value.strip() for name, value in secrets.items() if len(value.strip()) >= _LEAST_SECRET}
    if not wanted:
        return
    for path, source in files:
        for name, value in wanted.items():
            if holds(source, value):
                raise BuildError(
                    f"the command leaves the secret {name} in /{path}, which would be in the image"
                )


def holds(path: Path, value: bytes) -> bool:
    """Say whether a file has some bytes in it."""
    with path.open("rb") as stream:
        if not os.fstat(stream.fileno()).st_size:
            return False
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(value) >= 0
