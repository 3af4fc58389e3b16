"""What Git or a CI system says about the project: the revision and version labels of the OCI annotations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cog_nix.system.processes import ProcessError, run

if TYPE_CHECKING:
    from pathlib import Path

_REVISION = "org.opencontainers.image.revision"
_VERSION = "org.opencontainers.image.version"
VARIABLES = ("GITHUB_SHA", "GITHUB_REF_NAME")
"""Of a CI system: revision and version."""


def labels(root: Path) -> dict[str, str]:
    """Return the labels for a project's folder; those that nothing is known about are left out.

    As upstream has it (pkg/image/build.go): ``GITHUB_SHA`` and ``GITHUB_REF_NAME`` win, each by itself, and
    count as missing when empty. Otherwise, in a work tree, the commit that is checked out, and what
    ``git describe --tags --dirty`` says of it, which is nothing without a tag. Git that is missing or refuses
    (git-config(1), ``safe.directory``) is no error.

    Args:
        root: the project's folder; the repository may be above it.
    """
    revision, version = map(os.environ.get, VARIABLES)
    if not (revision and version) and (head := commit(root)):
        revision = revision or head
        version = version or _git(root, "describe", "--tags", "--dirty")
    found = {_REVISION: revision, _VERSION: version}
    return {name: value for name, value in found.items() if value}


def remote(root: Path) -> str:
    """Return where a project's repository came from, without user and password; "": not known."""
    if not commit(root):
        return ""
    url = _git(root, "remote", "get-url", "origin")
    scheme, separator, rest = url.partition("://")
    if not separator:
        return ""  # a folder, or a short form of SSH's that is no URI
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"


def is_clean(root: Path) -> bool:
    """Whether the files of a project's folder are those of the commit that is checked out."""
    if not commit(root):
        return False
    places = [".", ":!result", ":!.cog"]
    try:
        return not run(["git", "-C", root, "status", "--porcelain", "--", *places]).stdout
    except ProcessError:
        return False


def commit(root: Path) -> str:
    """Return the commit that is checked out; "" where none is, or no work tree."""
    # Most of the time that a build with nothing to do takes is starting processes.
    if "GIT_DIR" not in os.environ and not any(
        (folder / ".git").exists() for folder in (root, *root.parents)
    ):
        return ""
    inside, _, head = _git(root, "rev-parse", "--is-inside-work-tree", "HEAD").partition("\n")
    return head if inside == "true" else ""


def _git(root: Path, *arguments: str) -> str:
    try:
        return run(["git", "-C", root, *arguments]).stdout.strip()
    except ProcessError:
        return ""
