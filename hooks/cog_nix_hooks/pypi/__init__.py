"""Resolves Python requirements to wheels with uv.

The story is in :mod:`.resolve`; what each module knows: requirement lines (:mod:`.lines`), the machine's
indexes (:mod:`.indexes`), uv's command line (:mod:`.uv`) and output (:mod:`.pylock`), the image's tags and
markers (:mod:`.target`), and how to put uv's failures (:mod:`.explain`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.spec import hookimpl

if TYPE_CHECKING:
    from cog_nix.spec import Context, PythonRequest, PythonResolution


@hookimpl
def resolve_python_packages(request: PythonRequest, context: Context) -> PythonResolution:
    """Find one wheel for each requirement and what it requires.

    Raises:
        LockError: the requirements cannot be satisfied by wheels, or the index cannot be reached.
    """
    from cog_nix_hooks.pypi.resolve import resolve  # noqa: PLC0415 - only locking needs it

    return resolve(request, context)
