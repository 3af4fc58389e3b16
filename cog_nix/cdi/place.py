"""Writes what no hook writes into a container's files: links, and where the linker finds libraries.

This is also a program, for root file systems that only exist inside a mount namespace::

    python -c "…; main()" ROOT PLACEMENT COMMAND…

It writes below ROOT, from inside a ``chroot``: links of an image lead nowhere else. Then it becomes COMMAND.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cog_nix.cdi import linker
from cog_nix.cdi.model import Placement

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION = "/etc/ld.so.conf.d/00-cog-nix-devices.conf"
"""So that the libraries are still found after somebody calls ldconfig in the container."""


def command(root: Path, placement: Path) -> list[str]:
    """Return the words to put before a command that is to run when the placement is done.

    Args:
        root: the root file system, as it is called where the command runs.
        placement: a file that :func:`dump` wrote.
    """
    package = Path(__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(package)!r}); from cog_nix.cdi.place import main; main()"
    return [sys.executable, "-P", "-c", code, str(root), str(placement)]


def dump(placement: Placement) -> str:
    """Return a placement as JSON."""
    return json.dumps(dataclasses.asdict(placement))


def load(text: str) -> Placement:
    """Return what :func:`dump` was given."""
    data = json.loads(text)
    return Placement(
        tuple((target, path) for target, path in data["links"]),
        tuple(data["folders"]),
        tuple((soname, path) for soname, path in data["libraries"]),
        tuple((path, mode) for path, mode in data["modes"]),
    )


def links(placement: Placement) -> Iterator[tuple[str, str]]:
    """Yield target and path of all links: sonames first, then those that a specification names."""
    paths = {path for _, path in placement.libraries}
    for soname, path in placement.libraries:
        link = str(PurePosixPath(path).with_name(soname))
        if link not in paths:
            yield PurePosixPath(path).name, link
    yield from placement.links


def files(placement: Placement, cache: bytes) -> dict[str, bytes]:
    """Return the files to write: the linker's configuration and its cache.

    Args:
        placement: what is wanted.
        cache: the image's ``/etc/ld.so.cache``; empty when it has none.
    """
    if not placement.folders:
        return {}
    configuration = "".join(f"{folder}\n" for folder in placement.folders).encode()
    known = [
        (soname, str(PurePosixPath(path).with_name(soname)))
        for soname, path in placement.libraries
        if str(PurePosixPath(path).parent) in placement.folders
    ]
    # What programs are linked with by its plain name, `ldconfig -p` is asked for.
    known += [
        (PurePosixPath(path).name, path)
        for _, path in placement.links
        if ".so" in PurePosixPath(path).name and str(PurePosixPath(path).parent) in placement.folders
    ]
    return {CONFIGURATION: configuration, linker.PATH: linker.with_libraries(cache, known)}


def archive(placement: Placement, cache: bytes) -> bytes:
    """Return a tar of all that is to be written, for runtimes that unpack one into a container.

    Modes are left out: they are those of files that are mounted, or of the image.

    Args:
        placement: what is wanted.
        cache: the image's ``/etc/ld.so.cache``.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for target, path in links(placement):
            info = tarfile.TarInfo(path.lstrip("/"))
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
        for path, content in files(placement, cache).items():
            info = tarfile.TarInfo(path.lstrip("/"))
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def write(placement: Placement) -> None:
    """Write all of it into this process's own root.

    Raises:
        OSError: something cannot be written.
    """
    for target, text in links(placement):
        path = Path(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.is_file():
            path.unlink()
        path.symlink_to(target)
    try:
        cache = Path(linker.PATH).read_bytes()
    except OSError:
        cache = b""
    for text, content in files(placement, cache).items():
        path = Path(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for text, mode in placement.modes:
        if Path(text).exists():
            Path(text).chmod(mode)


def main() -> None:
    """Place, then become the command."""
    root, placement, *words = sys.argv[1:]
    wanted = load(Path(placement).read_text(encoding="utf-8"))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.chroot(root)
            os.chdir("/")
            os.umask(0o022)  # the container's users are to read it, whatever this one's files are like
            write(wanted)
            status = 0
        except (OSError, ValueError) as error:
            sys.stderr.write(f"The driver cannot be placed in the container: {error}\n")
            sys.stderr.flush()
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
    os.execvp(words[0], words)  # noqa: S606 - what this program is for
