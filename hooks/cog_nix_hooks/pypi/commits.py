"""Keeps git requirements at the commits that are locked, as versions are kept."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix.fetch import git
from cog_nix_hooks.pypi.lines import url_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix_hooks.pypi.lines import Lines

_REFERENCE = re.compile(
    r"git\+(?P<repository>[a-z+]+://[^/\s]*/[^@#\s]*)(?:@(?P<revision>[^#\s]+))?", re.IGNORECASE
)


def keep(lines: Lines, commits: Mapping[str, str]) -> tuple[Lines, dict[str, str]]:
    """Put commits in place of the branches and tags that they were locked for.

    Args:
        lines: what is asked for.
        commits: commits by ``git+REPOSITORY@REVISION``, the URL without credentials.

    Returns:
        The lines, and what was asked for by ``git+REPOSITORY@COMMIT``.
    """
    asked: dict[str, str] = {}
    requirements = []
    for line in lines.requirements:
        found = _REFERENCE.search(url_of(line))
        if found:
            repository = f"git+{git.public(found['repository'])}"
            revision = found["revision"] or ""
            commit = commits.get(f"{repository}@{revision}")
            if commit:
                asked[f"{repository}@{commit}"] = revision
                line = line.replace(found[0], f"git+{found['repository']}@{commit}", 1)  # noqa: PLW2901
        requirements.append(line)
    return replace(lines, requirements=tuple(requirements)), asked
