"""Commits of repositories that git cannot reach: servers of repositories give a commit's files as a tar, too.

Such a tar is compressed, named and dated as its server likes. Its files are those of the commit, so our
archive (:mod:`cog_nix.fetch.git`) is made of them, and the locked hash says whether it is the same. It is not
where the commit has submodules, or attributes that change what is exported.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from typing import TYPE_CHECKING

from cog_nix.fetch import git, urls
from cog_nix.fetch.failures import UnusableUrlError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_PATHS = ("archive/{commit}.tar.gz", "-/archive/{commit}/{name}-{commit}.tar.gz")
"""Below the repository: as Gitea and GitHub have it, among others, and as GitLab has it."""
_CHUNK = 1 << 20
_SLACK = 16 << 20
"""Bytes by which a server's tar may be larger than ours: it has folders, and other headers."""

_Key = tuple[tuple[int, str | bytes], ...]


def archives(url: str) -> tuple[str, ...]:
    """Return where a server may give the files of a commit as a tar.

    Args:
        url: ``git+https://host/repository@COMMIT``; there is nothing for other schemes.
    """
    repository, commit = git.split(url)
    if urls.split(repository).scheme not in {"http", "https"}:
        return ()
    base = repository.rstrip("/").removesuffix(".git")
    name = base.rpartition("/")[2]
    return tuple(f"{base}/{path.format(commit=commit, name=name)}" for path in _PATHS)


def rewrite(url: str, packed: Path, unpacked: Path, sink: BinaryIO, size: int) -> None:
    """Write the archive of a commit, of a server's.

    Args:
        url: where that came from, for messages.
        packed: the server's, a tar compressed with gzip.
        unpacked: a path that the tar is written to.
        sink: open for writing.
        size: of the archive, in bytes.

    Raises:
        UnusableUrlError: it is no such tar, or has more than a commit with an archive of that size.
        OSError: the disk is full.
    """
    try:
        _unpack(url, packed, unpacked, size + _SLACK)
        with tarfile.open(unpacked, "r:") as source:
            files = {_inside(one.name): one for one in source if one.isreg() or one.issym()}
            with git.new_tar(sink) as target:
                for name, one in sorted(files.items(), key=lambda item: _key(item[0])):
                    content = source.extractfile(one) if one.isreg() else None
                    git.add(target, name, one.mode, one.linkname if one.issym() else content, one.size)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError) as error:
        raise UnusableUrlError(url, f"it gives no archive of a commit: {error}") from error


def _unpack(url: str, packed: Path, unpacked: Path, most: int) -> None:
    with gzip.open(packed) as source, unpacked.open("wb") as target:
        while piece := source.read(_CHUNK):
            most -= len(piece)
            if most < 0:
                raise UnusableUrlError(url, "it gives far more than the commit has")
            target.write(piece)


def _inside(name: str) -> str:
    """Return a path without the folder that a server puts everything in."""
    return name.partition("/")[2]


def _key(name: str) -> _Key:
    """Return what puts paths in the order of an archive: a folder's files, then each folder in it."""
    *folders, last = name.split("/")
    return (*((1, folder) for folder in folders), (0, os.fsencode(last)))
