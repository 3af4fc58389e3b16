"""Unpacked layers, one folder each, shared by all images that have them.

A layer is unpacked beside its place and renamed, so a folder that is there is whole. What a layer removes is
kept as overlayfs wants it: a character device 0/0 for a file, the attribute ``user.overlay.opaque`` for the
former contents of a folder (kernel documentation, "Overlay Filesystem"; image-spec, "Whiteouts").
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cog_nix.errors import ImageError
from cog_nix.image.compression import decompressed
from cog_nix.image.whiteouts import OPAQUE, WHITEOUT
from cog_nix.namespaces import mounts_as_root
from cog_nix.system import scratch
from cog_nix.system.files import write_atomically
from cog_nix.system.processes import spawn
from cog_nix_hooks.bundle import bound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from cog_nix.image.layer_bytes import LayerBytes
    from cog_nix_hooks.bundle.programs import Programs

_CHUNK = 1 << 20
OPAQUE_ATTRIBUTE = "user.overlay.opaque"


class NotUnpackedError(ImageError):
    """A layer cannot be unpacked.

    Args:
        folder: where to.
        reason: why not.
    """

    def __init__(self, folder: Path, reason: object) -> None:
        super().__init__(
            hint="Free some space or fix the permissions, or build the image again, then run again."
        )
        self.folder, self.reason = folder, str(reason)

    def __str__(self) -> str:
        return f"A layer cannot be unpacked to {self.folder}: {self.reason}"


class LayerStore:
    """The unpacked layers of one user.

    Args:
        root: folder that holds them; only its owner may look into it, for layers carry setuid programs.
        programs: where ``tar`` is.
    """

    def __init__(self, root: Path, programs: Programs) -> None:
        self.root = root
        self._programs = programs

    def folder(self, diff_id: str) -> Path:
        """Return where the layer of this digest (``sha256:…``) is, or would be."""
        return self.root / "layers" / diff_id.removeprefix("sha256:")

    def has(self, diff_id: str) -> bool:
        """Whether a layer is unpacked, and the files that it leaves where they are have not changed."""
        try:
            return self.folder(diff_id).is_dir() and all(one.is_there for one in self.bound(diff_id))
        except ValueError:
            return False

    def bound(self, diff_id: str) -> list[bound.BoundFile]:
        """Return the files that a layer leaves where they are.

        Raises:
            ValueError: what is written of them is damaged.
        """
        return bound.read(self._record(diff_id))

    def _record(self, diff_id: str) -> Path:
        return self.root / "bound" / f"{self.folder(diff_id).name}.json"

    def bind(self, layer: LayerBytes) -> bool:
        """Lay a layer of large files out without copying any; return whether that can be done.

        Raises:
            ImageError: files have changed, or the folder cannot be written.
        """
        files = layer.located()
        if files is None or not bound.fits(files):
            return False
        folder = self.folder(layer.layer.diff_id)
        private(self.root)
        folder.parent.mkdir(exist_ok=True)
        record = self._record(layer.layer.diff_id)
        if folder.is_dir():  # the project is somewhere else now, or what is written of it is damaged
            now = bound.moved(files, folder)
        else:
            beside = scratch.reserve("unpack", folder.parent)
            try:
                beside.mkdir()
                beside.chmod(0o755)
                now = bound.lay_out(files, beside)
                write_atomically(record, bound.written(now), 0o600)
                beside.rename(folder)
            except OSError as error:
                raise NotUnpackedError(folder.parent, error.strerror or error) from error
            finally:
                scratch.release(beside)
        write_atomically(record, bound.written(now), 0o600)
        return True

    def unpack(self, stream: IO[bytes], wanted: Collection[str], advance: Callable[[int], None]) -> str:
        """Unpack a layer's tar and return its digest.

        Args:
            stream: the tar, as it is or compressed (:func:`cog_nix.image.compression.decompressed`).
            wanted: digests, one of which it must have.
            advance: told the bytes read.

        Raises:
            ImageError: it cannot be unpacked, or it is none of the wanted.
        """
        with decompressed(stream) as tar:
            return self.unpack_chunks(iter(partial(tar.read, _CHUNK), b""), wanted, advance)

    def unpack_chunks(
        self, tar: Iterable[bytes], wanted: Collection[str], advance: Callable[[int], None]
    ) -> str:
        """Unpack a tar that comes in pieces; otherwise as :meth:`unpack`.

        Several layers may be unpacked at once.
        """
        layers = self.root / "layers"
        private(self.root)
        layers.mkdir(exist_ok=True)
        beside = scratch.reserve("unpack", layers)
        try:
            beside.mkdir()
            beside.chmod(0o755)  # it becomes the image's root folder
            digest = _extract(self._programs.path("tar"), tar, beside, advance)
            if digest not in wanted:
                raise ImageError(
                    f"The image holds a layer {digest} that it does not name.", hint="Build it again."
                )
            keep_whiteouts(beside)
            if not self.has(digest):
                self._make_way(digest)
                beside.rename(self.folder(digest))
        except OSError as error:
            raise NotUnpackedError(layers, error.strerror or error) from error
        finally:
            scratch.release(beside)
        return digest

    def _make_way(self, diff_id: str) -> None:
        """Put a layer aside whose files have changed since: a container may still use what it has."""
        with suppress(FileNotFoundError):
            self.folder(diff_id).rename(self.root / "layers" / f"changed-{os.urandom(6).hex()}")
        self._record(diff_id).unlink(missing_ok=True)

    def keep_only(self, diff_ids: Collection[str]) -> None:
        """Remove all other layers, unless a container runs: it may be using them."""
        with lock(self.root / "containers.lock", fcntl.LOCK_EX, wait=False) as alone:
            if not alone:
                return
            wanted = {self.folder(diff_id).name for diff_id in diff_ids}
            for folder in (self.root / "layers").iterdir():
                if folder.name not in wanted:
                    remove(folder)
                    (self.root / "bound" / f"{folder.name}.json").unlink(missing_ok=True)


def _extract(program: str, chunks: Iterable[bytes], folder: Path, advance: Callable[[int], None]) -> str:
    command = [program, "--extract", "--file=-", f"--directory={folder}", "--preserve-permissions"]
    # Devices need root; /dev is the runtime's anyway.
    command += ["--numeric-owner", "--anchored", "--exclude=./dev/*", "--exclude=dev/*"]
    if mounts_as_root():
        command += ["--same-owner", "--xattrs", "--xattrs-include=security.capability"]
    else:
        command += ["--no-same-owner"]
    digest = hashlib.sha256()
    with (
        tempfile.TemporaryFile() as complaints,
        spawn(command, stdin=subprocess.PIPE, stderr=complaints) as tar,
    ):
        assert tar.stdin is not None  # noqa: S101 - for the type checker: it was asked for
        try:
            for chunk in chunks:
                digest.update(chunk)
                tar.stdin.write(chunk)
                advance(len(chunk))
            tar.stdin.close()
        except BrokenPipeError:
            pass  # its exit status and its words follow
        if tar.wait():
            complaints.seek(0)
            said = complaints.read().decode("utf-8", "replace").strip()
            raise NotUnpackedError(folder.parent, said)
    return f"sha256:{digest.hexdigest()}"


def keep_whiteouts(folder: Path) -> None:
    """Turn the marks of an image's layer into those of overlayfs."""
    for parent, _, files in os.walk(folder):
        for name in files:
            if not name.startswith(WHITEOUT):
                continue
            mark = Path(parent, name)
            mark.unlink()
            if name == OPAQUE:
                os.setxattr(parent, OPAQUE_ATTRIBUTE, b"y")
            elif not name.startswith(WHITEOUT * 2):  # others of aufs mean nothing in an image
                # Needs no privilege since Linux 5.8.
                os.mknod(Path(parent, name.removeprefix(WHITEOUT)), stat.S_IFCHR, os.makedev(0, 0))


def private(folder: Path) -> None:
    """Make a folder that only its owner may enter."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def remove(folder: Path) -> None:
    """Remove a folder with all in it, also where an image or overlayfs took its owner's permissions away."""
    if not mounts_as_root():
        folder.chmod(0o700)
        for parent, names, _ in os.walk(folder):
            for path in (Path(parent, name) for name in names):
                if not path.is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lock(path: Path, kind: int, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock between processes; yield whether it is held.

    Args:
        path: the lock's file.
        kind: ``fcntl.LOCK_SH`` or ``LOCK_EX``.
        wait: for who holds it now.
    """
    private(path.parent)
    with path.open("ab") as stream:
        try:
            fcntl.flock(stream, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
