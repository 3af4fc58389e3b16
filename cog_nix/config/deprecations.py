"""What is accepted but should be written in another way, or means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.config.complete import requirement_lines
from cog_nix.config.gpu import derive
from cog_nix.config.legacy import sdk_for
from cog_nix.config.schema import unknown_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cog_nix.config.document import Document

_REPLACED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("predict",), "run"),
    (("concurrency", "max"), "@cog.concurrent(max=...)"),
    (("build", "python_packages"), "build.python_requirements"),
    (("build", "pre_install"), "build.run"),
)


def deprecations(document: Document, root: Path) -> tuple[str, ...]:
    """Return warnings about a valid document, one sentence each, in upstream's order.

    Args:
        document: the parsed file.
        root: the project, for the requirements that decide whether CUDA fits.
    """
    return (*_keys(document), *_unknown(document), *_cuda(document, root))


def _keys(document: Document) -> Iterator[str]:
    old_sdk = sdk_for(document.value(str, "build", "python_version") or "") is not None
    for location, replacement in _REPLACED:
        if old_sdk and location == ("predict",):
            continue  # the SDKs for those Pythons know no other
        if document.value(object, *location):
            yield _place(
                document, location, f'deprecated field "{".".join(location)}": use "{replacement}" instead'
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
