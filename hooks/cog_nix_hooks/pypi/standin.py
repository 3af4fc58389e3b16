"""PyPI's build in place of one from an index of PyTorch's that cannot be had: what is said and remembered.

An index is out of reach on many machines (a mirror of PyPI alone, a closed network), and for most models
PyPI's build does the same work. So the lock is written with it and says so. What it says is remembered in the
lock's reasons, and the index is asked again when the pin of torch may move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.config import torch as facts
from cog_nix_hooks.pypi.errors import PackageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.lock.model import Wheel
    from cog_nix.plugins.spec import PythonRequest
    from cog_nix_hooks.pypi.torch import Backend


def reason(backend: Backend) -> str:
    """Return what the lock remembers."""
    return f"PyPI's build stands in for {backend.what} ({backend.why}), which could not be had"


def is_remembered(backend: Backend, request: PythonRequest) -> bool:
    """Return whether the previous lock had PyPI's build in this one's place, and that is to stay."""
    return not backend.pinned and request.reasons.get("torch") == reason(backend)


def warning(backend: Backend, wheels: Sequence[Wheel], failure: str) -> str:
    """Return what is taken instead, what that means, and how to try again.

    Args:
        backend: the index that was asked for.
        wheels: what there is instead.
        failure: why it cannot be had.
    """
    version = next((wheel.version for wheel in wheels if wheel.name == "torch"), "")
    known = facts.release(version)
    cuda = f" with CUDA {known.default}" if known else ""
    follows = (
        "the model works the same, in an image that is some GB larger"
        if backend.name == "cpu"
        else f"its CUDA is what the model uses, with driver {facts.minimum_driver(known.default)} or later"
        if known
        else "its CUDA is what the model uses"
    )
    return (
        f"{backend.why} asks for {backend.what}, and PyTorch's index {backend.name} does not serve it:"
        f" {failure}. Taken instead: PyPI's torch {version}{cuda}; {follows}. To ask again:"
        " cog-nix lock --upgrade torch"
    )


def refused(backend: Backend, request: PythonRequest, failure: str) -> PackageError:
    """Return the error for an index that a pin names and that does not answer."""
    hint = "Check the network; behind a proxy set HTTPS_PROXY. Where PyTorch's indexes are mirrored, name the"
    hint += " mirror among the requirements (--extra-index-url URL)."
    if backend.default:
        hint += f" Without +{backend.name} PyPI's build is taken, which has CUDA {backend.default}."
    place = request.place(backend.why.partition("==")[0])
    return PackageError(
        f"{place}: {backend.why} is in PyTorch's index {backend.name} alone, and that does not"
        f" answer: {failure}",
        hint=hint,
        package=backend.why.partition("==")[0],
    )
