"""Resolves Python requirements with uv, to wheels and to sources that wheels are built from.

The story is in :mod:`.resolve`; what each module knows: requirement lines (:mod:`.lines`), the machine's
indexes and credentials (:mod:`.indexes`), uv's command line (:mod:`.uv`), what it writes (:mod:`.pylock`) and
says (:mod:`.output`), the image's tags and markers (:mod:`.target`), which commits stay (:mod:`.commits`),
what a source says (:mod:`.tree`), what its build takes (:mod:`.builds`), what to do when it cannot be asked
(:mod:`.metadata`), where else a file may be (:mod:`.origins`), how to put failures (:mod:`.errors`,
:mod:`.explain`), and what to tell the doctor (:mod:`.checks`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cog_nix.plugins.spec import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cog_nix.fetch.origins import Alternative
    from cog_nix.lock.model import Artifact
    from cog_nix.plugins.spec import Context, Finding, PythonRequest, PythonResolution


@hookimpl
def resolve_python_packages(request: PythonRequest, context: Context) -> PythonResolution:
    """Find one wheel, or a source to build one from, for each requirement and what it requires.

    Raises:
        LockError: the requirements cannot be satisfied, or the index cannot be reached.
    """
    from cog_nix_hooks.pypi.resolve import resolve  # only locking needs it

    return resolve(request, context)


@hookimpl
def download_credentials(requirements: Sequence[str]) -> Sequence[str]:
    """Return the index URLs with credentials of requirements, uv, pip and the keyring."""
    from cog_nix_hooks.pypi.indexes import credentialed_urls  # only downloading needs it

    return credentialed_urls(requirements, os.environ)


@hookimpl
def origins_of(
    files: Sequence[Artifact], requirements: Sequence[str], context: Context
) -> Mapping[str, Sequence[Alternative]]:
    """Look files up by their hash in the indexes of the project and of this machine."""
    from cog_nix_hooks.pypi.origins import origins_of as find

    return find(files, requirements, context)


@hookimpl
def diagnose() -> Iterable[Finding]:
    """Tell whether an index of Python packages can be reached."""
    from cog_nix_hooks.pypi import checks  # only the doctor asks

    return [checks.diagnose()]
