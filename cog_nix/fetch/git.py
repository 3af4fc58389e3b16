"""Source archives of git commits: the files of a checkout as a tar, the same bytes on every machine.

A commit names its files by content, so an archive can be made anew wherever the repository can be reached:
the hash in a lock says whether it is the same. Nothing of the clone's history or configuration is in it, nor
of the machine's: no ``.git``, owners, times or line-end conversions. Submodules are in, as pip takes them;
files of Git LFS are left as pointers.
"""

from __future__ import annotations

import os
import re
import stat
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cog_nix.errors import FetchError
from cog_nix.fetch import urls
from cog_nix.system import scratch
from cog_nix.system.processes import ProcessError, redact, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO, BinaryIO

PREFIX = "git+"
MTIME = 315532800
"""1980-01-01: the oldest that ZIP archives can express, so wheels can be made of the files."""

_TOP = "source"
"""The folder that everything in an archive is in, as in other source archives."""
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_COUNT = re.compile(r"[0-9]{1,4}")
_HERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
"""What git sets in hooks: it would make our clone the repository that the hook runs in."""


def is_git(url: str) -> bool:
    """Return whether a URL names a git commit (``git+https://host/repository@COMMIT``)."""
    return url.startswith(PREFIX)


def is_commit(text: str) -> bool:
    """Return whether a text is the hash of a commit, in full (SHA-1 or SHA-256)."""
    return bool(_COMMIT.fullmatch(text))


def split(url: str) -> tuple[str, str]:
    """Return repository and commit of ``git+https://host/repository@COMMIT``.

    Raises:
        FetchError: the commit is missing.
    """
    repository, at, commit = url.removeprefix(PREFIX).partition("#")[0].rpartition("@")
    if not at or not is_commit(commit):
        raise FetchError(f"{urls.shown(url)} does not name a commit", hint="Lock again.")
    return repository, commit


def public(repository: str) -> str:
    """Return a repository's URL as it may be written down: over SSH the user is part of the address."""
    known = urls.credentials_in(repository)
    plain = urls.without_credentials(repository)
    if known and known[0] and urls.split(repository).scheme.endswith("ssh"):
        scheme, separator, rest = plain.partition("://")
        return f"{scheme}{separator}{quote(known[0])}@{rest}"
    return plain


def write_archive(url: str, sink: BinaryIO, credentials: Mapping[urls.Origin, urls.Credentials]) -> None:
    """Write the archive of a commit.

    Args:
        url: ``git+https://host/repository@COMMIT``.
        sink: open for writing.
        credentials: user and password by origin; those of git's own helpers and of ``.netrc`` count anyway.

    Raises:
        FetchError: git is missing, the repository cannot be read, or it has no such commit.
    """
    repository, commit = split(url)
    with scratch.folder("git") as folder:
        checkout = _Checkout(folder, repository, commit, credentials)
        checkout.clone()
        with new_tar(sink) as tar:
            for path in _files(checkout.folder):
                _add_path(tar, path, path.relative_to(checkout.folder).as_posix())


def new_tar(sink: BinaryIO) -> tarfile.TarFile:
    """Return an archive that is still empty."""
    return tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT)


def add(tar: tarfile.TarFile, name: str, mode: int, content: IO[bytes] | str | None, size: int) -> None:
    """Add a file of a commit to its archive.

    Args:
        tar: the archive.
        name: path in the commit.
        mode: permissions, of which only the executable bit counts.
        content: where a link leads, or the bytes of a file.
        size: so many.
    """
    info = tarfile.TarInfo(f"{_TOP}/{name}")
    info.mtime = MTIME
    if isinstance(content, str):
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, content
        tar.addfile(info)
    else:
        info.mode, info.size = 0o755 if mode & stat.S_IXUSR else 0o644, size
        tar.addfile(info, content)


def check_out(
    repository: str,
    commit: str,
    folder: Path,
    credentials: Mapping[urls.Origin, urls.Credentials],
    *,
    lfs: bool = False,
) -> None:
    """Clone one commit, with its submodules.

    Args:
        repository: its URL.
        commit: in full.
        folder: is there, and empty.
        credentials: as in :func:`write_archive`.
        lfs: whether files of Git LFS come as well.

    Raises:
        FetchError: git is missing, the repository cannot be read, or it has no such commit.
    """
    _Checkout(folder, repository, commit, credentials, lfs=lfs).clone()


class _Checkout:
    """A clone of one commit."""

    def __init__(
        self,
        folder: Path,
        repository: str,
        commit: str,
        credentials: Mapping[urls.Origin, urls.Credentials],
        *,
        lfs: bool = False,
    ) -> None:
        self.folder = folder
        self.repository = public(repository)
        self.commit = commit
        self._secrets: list[str] = []
        self._env = {name: value for name, value in os.environ.items() if name not in _HERE}
        self._env |= {"GIT_TERMINAL_PROMPT": "0"} | ({} if lfs else {"GIT_LFS_SKIP_SMUDGE": "1"})
        host = urls.host_of(repository)
        known = urls.credentials_in(repository) or credentials.get(urls.origin(repository))
        if known and urls.split(repository).scheme in {"http", "https"}:
            self._use(host, known)

    def _use(self, host: str, known: urls.Credentials) -> None:
        """Hand credentials to git in its environment, which other users of the machine cannot read."""
        user, password = (quote(part, safe="") for part in known)
        scheme = urls.split(self.repository).scheme
        given = self._env.get("GIT_CONFIG_COUNT", "")
        count = int(given) if _COUNT.fullmatch(given) else 0  # git refuses any other
        self._env |= {
            "GIT_CONFIG_COUNT": str(count + 1),
            f"GIT_CONFIG_KEY_{count}": f"url.{scheme}://{user}:{password}@{host}/.insteadOf",
            f"GIT_CONFIG_VALUE_{count}": f"{scheme}://{host}/",
        }
        self._secrets += [known[1], password]

    def clone(self) -> None:
        try:
            self._git("init", "--quiet", "--template=")
            self._git("remote", "add", "origin", self.repository)
            self._fetch()
            self._git("checkout", "--quiet", "--force", self.commit)
            if (self.folder / ".gitmodules").exists():
                self._git("submodule", "update", "--quiet", "--init", "--recursive")
        except ProcessError as error:
            raise self._explained(error) from error

    def _fetch(self) -> None:
        """Fetch the one commit; where the server does not allow that, everything."""
        try:
            self._git("fetch", "--quiet", "--depth=1", "--no-tags", "origin", self.commit)
        except ProcessError as error:
            if error.not_found:
                raise
            self._git("fetch", "--quiet", "origin", "+refs/*:refs/remotes/all/*")

    def _git(self, *arguments: str) -> None:
        settings = ("core.autocrlf=false", "core.eol=lf", "core.symlinks=true", "core.fileMode=true")
        options = [word for setting in settings for word in ("-c", setting)]
        run(["git", *options, *arguments], cwd=self.folder, env=self._env, secrets=self._secrets)

    def _explained(self, error: ProcessError) -> FetchError:
        shown = urls.shown(self.repository)
        if error.not_found:
            return FetchError(
                f"{shown} is a git repository, and git is not installed here",
                hint="Install git, or name a release of the package instead of its repository.",
            )
        said = redact(error.finished.stderr.strip(), self._secrets) or error.message
        if "reference is not a tree" in said or "unable to read tree" in said:
            return FetchError(
                f"{shown} has no commit {self.commit}",
                hint="It was rewritten or removed: lock again with another revision.",
            )
        return FetchError(
            f"cannot read {shown} at {self.commit[:12]}:\n"
            + "\n".join(f"  {line}" for line in said.splitlines()[-5:]),
            hint="Check that git can clone it here without asking; put credentials into ~/.netrc or a git"
            " credential helper.",
        )


def _files(folder: Path) -> Iterator[Path]:
    for parent, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if name != ".git")
        links = [name for name in names if (Path(parent) / name).is_symlink()]
        for name in sorted([*links, *files], key=os.fsencode):
            if name != ".git":  # a submodule has a file of this name
                yield Path(parent) / name


def _add_path(tar: tarfile.TarFile, path: Path, name: str) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        add(tar, name, mode, str(path.readlink()), 0)
    elif stat.S_ISREG(mode):
        with path.open("rb") as stream:
            add(tar, name, mode, stream, path.stat().st_size)
