"""What is accepted but should be written in another way, or means nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.config.complete import requirement_lines
from cog_nix.config.gpu import derive
from cog_nix.config.legacy import sdk_for
from cog_nix.config.schema import unknown_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.config.document import Document


@dataclass(frozen=True)
class Deprecated:
    """A key that is accepted, and what is written in its place."""

    location: tuple[str, ...]
    replacement: str
    advice: str
    """Upstream's words."""

    @property
    def name(self) -> str:
        """The key with those above it: ``build.pre_install``."""
        return ".".join(self.location)


_DEPRECATED = (
    Deprecated(("predict",), "run", "use run to point at run.py:Runner"),
    Deprecated(
        ("concurrency", "max"),
        "@cog.concurrent(max=...)",
        "configure prediction concurrency with @cog.concurrent on your async run() method instead",
    ),
    Deprecated(
        ("build", "python_packages"), "build.python_requirements", "use a requirements.txt file instead"
    ),
    Deprecated(("build", "pre_install"), "build.run", "use build.run commands instead"),
)


def deprecations(document: Document, root: Path) -> tuple[str, ...]:
    """Return warnings about a valid document, one sentence each, in upstream's order.

    Args:
        document: the parsed file.
        root: the project, for the requirements that decide whether CUDA fits.
    """
    return (*_keys(document), *other_warnings(document, root))


def other_warnings(document: Document, root: Path) -> tuple[str, ...]:
    """Return the warnings of :func:`deprecations` that are not about deprecated keys."""
    return (*_unknown(document), *_cuda(document, root))


def deprecated_keys(document: Document) -> Iterator[Deprecated]:
    """Yield the deprecated keys of a valid document, in upstream's order."""
    old_sdk = sdk_for(document.value(str, "build", "python_version") or "") is not None
    for key in _DEPRECATED:
        if old_sdk and key.location == ("predict",):
            continue  # the SDKs for those Pythons know no other
        if document.value(object, *key.location):
            yield key


def _keys(document: Document) -> Iterator[str]:
    for key in deprecated_keys(document):
        yield _place(
            document, key.location, f'deprecated field "{key.name}": use "{key.replacement}" instead'
        )


def _unknown(document: Document) -> Iterator[str]:
    for problem in unknown_keys(document):
        sentences = f"{problem.text}; it is ignored. {problem.fix}" if problem.fix else problem.text
        yield f"{document.name}:{problem.line}: {sentences}"


def _cuda(document: Document, root: Path) -> Iterator[str]:
    build = document.data.get("build", {})
    if build.get("gpu") and build.get("cuda"):
        lines = [line.text for line in requirement_lines(document, root)]
        warning = derive(build["cuda"], build.get("cudnn"), lines).warning
        if warning:
            yield _place(document, ("build", "cuda"), warning)


def _place(document: Document, location: tuple[str, ...], text: str) -> str:
    return f"{document.name}:{document.line(*location)}: {text}"
