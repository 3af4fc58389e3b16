"""The commit that an image says it was built from, in a folder of its own."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cog_nix.errors import FlagError
from cog_nix.fetch import git as fetch_git
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FLAG = "--source"
REVISION = "org.opencontainers.image.revision"
SOURCE = "org.opencontainers.image.source"
"""Labels (image-spec, annotations.md, "Pre-Defined Annotation Keys")."""
_EXPECTED = "expected URL#COMMIT:FOLDER"


@dataclass(frozen=True)
class Source:
    """Where the source of an image is kept."""

    repository: str
    """URL of a Git repository."""
    commit: str = ""
    """In full; "": not said."""
    folder: str = ""
    """Of the project, in the repository."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``URL#COMMIT:FOLDER``, as ``docker build`` writes it; the last two may be left out.

        Args:
            text: where the repository is a URL, or a folder here.

        Raises:
            FlagError: it is something else.
        """
        repository, _, rest = text.partition("#")
        commit, _, folder = rest.partition(":")
        if not repository or repository.startswith("-"):  # which Git takes for an option
            raise FlagError(FLAG, _EXPECTED, text)
        if commit and not fetch_git.is_commit(commit):
            raise FlagError(
                FLAG,
                "expected a commit in full",
                commit,
                hint="Name all of its digits; branches and tags move.",
            )
        if Path(folder).is_absolute() or ".." in Path(folder).parts:
            raise FlagError(FLAG, "the folder has to be in the repository.", folder)
        if Path(repository).is_dir():
            repository = Path(repository).absolute().as_uri()
        return cls(repository, commit, folder)

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Self | None:
        """Return what an image's labels say; None: they name no repository that can be asked over TLS."""
        repository = labels.get(SOURCE, "")
        return cls(repository).at(labels) if repository.startswith("https://") else None

    @property
    def shown(self) -> str:
        """The repository without credentials; "": it is not said."""
        return self.repository and fetch_git.public(self.repository)

    def at(self, labels: Mapping[str, str]) -> Self:
        """Return it with the commit of an image's labels, where it has none.

        Raises:
            FlagError: they name none.
        """
        commit = self.commit or labels.get(REVISION, "")
        if not fetch_git.is_commit(commit):
            raise FlagError(
                FLAG, "the image does not say its commit.", self.repository, hint="Name it: URL#COMMIT"
            )
        return replace(self, commit=commit)


@contextmanager
def checked_out(source: Source) -> Iterator[Path]:
    """Yield the project's folder in a clone, which is removed afterwards.

    Args:
        source: with a commit; its credentials, those of Git's own helpers and of ``.netrc`` count.

    Raises:
        FetchError: there is no such repository or commit.
        FlagError: there is no such folder in it.
    """
    with scratch.folder("source", mode=0o755) as folder:
        fetch_git.check_out(source.repository, source.commit, folder, {}, lfs=True)
        project = folder / source.folder
        if not project.is_dir():
            raise FlagError(FLAG, f"there is no such folder at {source.commit}", source.folder)
        yield project
