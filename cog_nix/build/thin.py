"""Building an image for a registry that holds its layers: these are neither fetched nor made.

Evaluation alone says by which store path each layer goes (:mod:`cog_nix.image.known`). Where the registry was
told what they came to, the project's own layer, the configuration and the manifest are all that is made.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cog_nix.build.options import OVERLAY, gc_root
from cog_nix.build.provide import is_provided
from cog_nix.build.shared import provide_part
from cog_nix.image.known import Keys
from cog_nix.store.failures import UnexpectedAnswerError
from cog_nix.store.library import nix_library
from cog_nix.store.questions import evaluate, plan
from cog_nix.system.state import make_way_for_link

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cog_nix.build.options import BuildOptions
    from cog_nix.build.shared import Place
    from cog_nix.plugins.manager import Plugins
    from cog_nix.store.nix import Nix


def thin_layout(
    place: Place, options: BuildOptions, arguments: Mapping[str, Any], plugins: Plugins
) -> Path | None:
    """Build an OCI layout without the blobs that the registry holds.

    Args:
        place: whose build, and where.
        options: say what is known (:attr:`cog_nix.build.options.BuildOptions.held`).
        arguments: of ``nix/build.nix``.
        plugins: one that hears of images gets whole ones.

    Returns:
        None where an image has to be built whole, or is here already.

    Raises:
        CogNixError: the project's own layer cannot be built.
    """
    project, lock, nix = place.project, place.lock, place.nix
    if lock.packages or (project.root / OVERLAY).exists() or plugins.implements("after_build"):
        return None
    if options.held is None or is_provided(project, lock, nix):
        return None
    expression = nix_library() / "build.nix"
    keys = keys_of(nix, arguments)
    if keys.frozen is None or all(os.path.lexists(nix.store_dir / key) for key in keys.layers):
        return None
    known = options.held(keys)
    lacking = [key for key in keys.layers if key not in known.layers]
    # What a command left behind has to be there for whatever is laid on top of it.
    if not known.layers or keys.frozen not in known.frozen or (lacking and lock.runs):
        return None
    held = len(keys.layers) - len(lacking)
    place.reporter.info(
        f"The registry holds {held} of {len(keys.layers)} layers, which are neither fetched nor built here"
    )
    spec = {**arguments, "oci": True, "known": known.document()}
    if not provide_part(lock, plan(nix, expression, spec), nix, place.context):
        return None
    root = gc_root(project, options)
    if root:
        make_way_for_link(root)
    return nix.real(nix.build(expression, spec, root, place.reporter))


def keys_of(nix: Nix, arguments: Mapping[str, Any]) -> Keys:
    """Return under what the layers of an image would be known.

    Args:
        nix: evaluates; its store is not asked.
        arguments: of ``nix/build.nix``.

    Raises:
        NixError: it cannot be evaluated.
    """
    try:
        return Keys.parse(evaluate(nix, nix_library() / "build.nix", {**arguments, "keys": True}))
    except (ValueError, TypeError, KeyError) as error:
        raise UnexpectedAnswerError(error) from error
