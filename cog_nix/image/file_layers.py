"""Describes the layers whose files stay in the project: each file is read once, to hash it, and never copied.

What came of it is kept in the cache under the files' statuses, so that nothing is read again as long as these
are the same. :mod:`cog_nix.image.project_files` reads what is written here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cog_nix.errors import ImageError, UnreadableFileError
from cog_nix.fetch.parallel import run_all
from cog_nix.image.pieces import BLOCK, END
from cog_nix.image.project_files import (
    BY_DIGEST,
    FOLDER,
    FORMAT,
    FOUND,
    UNKNOWN,
    Entry,
    FileChangedError,
    Found,
    Held,
    recalled,
    remembered,
)
from cog_nix.project.large import LARGE
from cog_nix.system import scratch
from cog_nix.system.files import UnwritableError, link_atomically, write_atomically
from cog_nix.system.status import Status, of, status, unchanged_for_long

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cog_nix.project.large import Group
    from cog_nix.report import Reporter

MTIME = 315532800
"""Of every entry of an image (``nix/builders/archive.py``)."""
LAYER = "layer"
_PREFIX = "src"
"""The folder in the image that the project becomes."""
_CHUNK = 4 << 20
_KEPT = 256
"""So many layers are remembered; the oldest are forgotten."""


class DamagedFileError(ImageError):
    """The store of weights has not the file that a name there stands for.

    Args:
        file: which.
    """

    def __init__(self, file: Held) -> None:
        super().__init__(hint=f"Fetch it again:  rm -f {file.path} && cog-nix weights pull")
        self.file = file

    def __str__(self) -> str:
        return f"{self.file.path} is not the file of {self.file.size} bytes that its name says."


@dataclass(frozen=True)
class Hashing:
    """What describing layers goes by.

    Args:
        root: the project.
        cache: folder of the user's caches.
        began: the time of the project's file system before anything was looked at, in ns; None: unknown.
        device: that file system.
        reporter: shows the bytes that are read.
    """

    root: Path
    cache: Path
    began: int | None
    device: int
    reporter: Reporter

    def layers(
        self, groups: Sequence[Group], statuses: Mapping[str, Status], held: Mapping[str, Held] | None = None
    ) -> list[Path]:
        """Return a folder for each layer that describes it, for the Nix store.

        Args:
            groups: which.
            statuses: of their files, after :attr:`began`.
            held: those that are not the project's, by their paths in the image.

        Raises:
            UnreadableFileError: a file cannot be read.
            FileChangedError: one changes meanwhile.
            DamagedFileError: the store of weights has another one.
            UnwritableError: the cache cannot be written.
        """
        held = held or {}
        wanted = [
            _Layer(self, group, [_source(self.root, path, statuses, held) for path in group.files])
            for group in groups
        ]
        missing = [layer for layer in wanted if not layer.is_known]
        if missing:
            total = sum(layer.size for layer in missing)
            count = sum(len(layer.group.files) for layer in missing)
            with self.reporter.bytes_bar(f"Hashing {count} of the project's files", total) as bar:
                # The largest first: one that starts last would run on alone.
                tasks = [
                    partial(layer.describe, bar.advance)
                    for layer in sorted(missing, key=lambda one: -one.size)
                ]
                run_all(tasks, os.cpu_count() or 1, threading.Event())
            _forget_old(self.cache / FOLDER)
        return [layer.folder / LAYER for layer in wanted]


class _Source(NamedTuple):
    """Where a file of a layer is read."""

    path: Path
    status: Status
    sha256: str = ""
    """What it has to have, and is remembered by; "": its status is."""


def _source(root: Path, path: str, statuses: Mapping[str, Status], held: Mapping[str, Held]) -> _Source:
    if path not in held:
        return _Source(root / path, statuses[path])
    found = held[path]
    there = status(found.path, follow=True)
    if there is None or there[3] != found.size:
        raise DamagedFileError(found)
    return _Source(Path(found.path), there, found.sha256)


class _Layer:
    """One layer on its way."""

    def __init__(self, hashing: Hashing, group: Group, sources: list[_Source]) -> None:
        self.group, self._hashing, self._sources = group, hashing, sources
        self.size = sum(one.status[3] for one in sources)
        known = [one.sha256 or one.status for one in sources]
        question = [FORMAT, group.name, group.folders, group.files, known]
        key = hashlib.sha256(json.dumps(question).encode()).hexdigest()
        self.folder = hashing.cache / FOLDER / key[:40]

    @property
    def is_known(self) -> bool:
        """Whether these very files were hashed before; a layer that is used is as good as new."""
        found = recalled(self.folder)
        if found is None or not found.certain:
            return False
        root = str(self._hashing.root)
        if found.root != root:  # the project was moved
            write_atomically(self.folder / FOUND, remembered(found._replace(root=root)))
        with suppress(OSError):
            os.utime(self.folder)
        self._note(found.diff_id)
        return True

    def _note(self, diff_id: str) -> None:
        """Make a layer's digest lead to its files, unless it leads to the same ones elsewhere.

        A second project of these files may be here for a moment only, as one that is built to compare it.
        """
        target = Path("..", self.folder.name)
        link = self._link(diff_id)
        if not link.is_symlink() or (link.readlink() != target and not self._leads_to_files(link)):
            link.parent.mkdir(exist_ok=True)
            link_atomically(target, link)

    def _leads_to_files(self, link: Path) -> bool:
        found = recalled(link)
        if found is None or len(found.statuses) != len(self._sources):
            return False
        # A file gets another time of change by a further name of it as well.
        return all(
            (there := status(f"{found.root}/{path}")) is not None and there[:-1] == known[:-1]
            for path, known in zip(self.group.files, found.statuses, strict=True)
        )

    def _link(self, diff_id: str) -> Path:
        return self._hashing.cache / FOLDER / BY_DIGEST / diff_id.removeprefix("sha256:")

    def describe(self, advance: Callable[[int], None]) -> None:
        """Hash the files, and write what the layer is."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            with scratch.beside(self.folder) as work:
                layer = work / LAYER
                layer.mkdir(parents=True)
                diff_id = self._write(layer, advance)
                statuses = tuple(one.status for one in self._sources)
                found = Found(diff_id, str(self._hashing.root), statuses, self._are_certain)
                self._put(work, found)
            self._note(diff_id)
        except OSError as error:
            raise UnwritableError(self.folder, error) from error

    def _put(self, work: Path, found: Found) -> None:
        """Put a description where it belongs; the same one stays, for Nix may be reading it."""
        known = recalled(self.folder)
        if known is None or known.diff_id != found.diff_id:
            (work / FOUND).write_bytes(remembered(found))
            shutil.rmtree(self.folder, ignore_errors=True)
            try:
                work.rename(self.folder)
            except OSError:
                if recalled(self.folder) is None:  # otherwise another process was quicker
                    raise
        else:
            write_atomically(self.folder / FOUND, remembered(found))

    @property
    def _are_certain(self) -> bool:
        began, device = self._hashing.began, self._hashing.device
        return all(
            one.sha256 or (began is not None and unchanged_for_long(one.status, began, device))
            for one in self._sources
        )

    def _write(self, layer: Path, advance: Callable[[int], None]) -> str:
        """Write the description to a folder; return the layer's digest."""
        whole = hashlib.sha256()
        folders = list(map(_in_image, self.group.folders))
        if any(not path.startswith("/") for path in self.group.files):
            folders.insert(0, _PREFIX)
        directories = b"".join(map(_folder, folders))
        (layer / "directories.tar").write_bytes(directories)
        whole.update(directories)
        headers, content = 0, 0
        each = self.group.name == LARGE
        with (
            (layer / "headers.tar").open("wb") as sink,
            (layer / "files.tsv").open("w", encoding="utf-8") as table,
            ThreadPoolExecutor(1) as pool,
        ):
            for path, source in zip(self.group.files, self._sources, strict=True):
                size = source.status[3]
                header = _file(_in_image(path), source)
                headers += sink.write(header)
                whole.update(header)
                own = hashlib.sha256() if each else None
                for piece in _contents(source.path, source.status):
                    beside = pool.submit(own.update, piece) if own else None
                    whole.update(piece)
                    if beside:
                        beside.result()
                    advance(len(piece))
                padding = -size % BLOCK
                whole.update(bytes(padding))
                content += size + padding
                sha256 = own.hexdigest() if own else UNKNOWN
                if source.sha256 and sha256 != source.sha256:
                    raise DamagedFileError(Held(str(source.path), source.sha256, size))
                table.write(Entry(headers, size, sha256, path).line())
        whole.update(END)
        diff_id = f"sha256:{whole.hexdigest()}"
        # Paths in the store are not known yet: nix/builders/image.py completes them.
        described = {
            "name": self.group.name,
            "diff_id": diff_id,
            "size": len(directories) + headers + content + len(END),
            "parts": [
                {"path": "directories.tar", "offset": 0, "size": len(directories)},
                {"files": ".", "size": headers + content},
            ],
        }
        (layer / "fragment.json").write_text(json.dumps(described, indent=1, sort_keys=True))
        return diff_id


def _contents(path: Path, expected: Status) -> Iterator[memoryview]:
    """Yield a file's bytes; what is a hole in it is not read.

    Raises:
        UnreadableFileError: it cannot be read.
        FileChangedError: it is not what it was, at the beginning or the end.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise FileChangedError(str(path), when="while it was looked at") from error
    except OSError as error:
        raise UnreadableFileError(path, error, hint="Give yourself access to it, or ignore it.") from error
    try:
        _same(descriptor, path, expected)
        size = expected[3]
        buffer = memoryview(bytearray(min(_CHUNK, size)))
        zeros = memoryview(bytes(len(buffer)))
        at = 0
        while at < size:
            hole = _data_after(descriptor, at, size) - at
            if hole:
                count = min(hole, len(zeros))
                yield zeros[:count]
            else:
                os.posix_fadvise(descriptor, at + _CHUNK, _CHUNK, os.POSIX_FADV_WILLNEED)
                count = os.preadv(descriptor, [buffer], at)
                if not count:
                    raise FileChangedError(str(path), when="while it was read")
                yield buffer[:count]
            at += count
        _same(descriptor, path, expected)
    finally:
        os.close(descriptor)


def _same(descriptor: int, path: Path, expected: Status) -> None:
    if of(os.fstat(descriptor)) != expected:
        raise FileChangedError(str(path), when="while it was read")


def _data_after(descriptor: int, at: int, size: int) -> int:
    """Return where data is, from a place on (lseek(2), SEEK_DATA)."""
    try:
        return min(os.lseek(descriptor, at, os.SEEK_DATA), size)
    except OSError:
        return size  # ENXIO: nothing but a hole up to the end


def _folder(path: str) -> bytes:
    info = _info(path, 0o755)
    info.type = tarfile.DIRTYPE
    return info.tobuf(tarfile.PAX_FORMAT)


def _in_image(path: str) -> str:
    """Return where a path of a group is in the image, as a tar has it."""
    return path[1:] if path.startswith("/") else f"{_PREFIX}/{path}"


def _file(path: str, source: _Source) -> bytes:
    executable = not source.sha256 and source.status[2] & stat.S_IXUSR
    info = _info(path, 0o755 if executable else 0o644)
    info.size = source.status[3]
    return info.tobuf(tarfile.PAX_FORMAT)


def _info(path: str, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.mtime = mode, MTIME
    return info


def _forget_old(folder: Path) -> None:
    """Leave the layers that were used last, and no link to another."""
    kept = [path for path in folder.iterdir() if path.name != BY_DIGEST and (path / FOUND).exists()]
    for path in sorted(kept, key=lambda one: -one.stat().st_mtime_ns)[_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
    for link in (folder / BY_DIGEST).iterdir():
        if not link.exists():
            link.unlink(missing_ok=True)
