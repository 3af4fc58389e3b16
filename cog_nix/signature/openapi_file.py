"""An OpenAPI document that the user hands in instead of one that is read from the source.

It goes into the image byte for byte, so it is checked first: what Cog's clients and server rely on must be
there (OpenAPI Specification 3.0.3, "OpenAPI Object").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cog_nix.errors import ConfigError
from cog_nix.system import jsonvalue
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


class DocumentError(ConfigError):
    """A file is no OpenAPI document that can be used, in upstream's words.

    Args:
        failure: which step failed.
        path: of the file.
        reason: why, in a line or several.
    """

    def __init__(self, failure: str, path: Path, reason: object) -> None:
        super().__init__(hint="Write one with:  cog-nix schema > openapi.json")
        self.failure, self.path, self.reason = failure, path, str(reason)

    def __str__(self) -> str:
        return f"{self.failure}: {self.path}: {self.reason}"


def read_document(path: Path) -> str:
    """Return a document as it stands in a file.

    Args:
        path: the file; JSON in UTF-8.

    Raises:
        DocumentError: it cannot be read, or is no OpenAPI document; all that is missing is told.
    """
    try:
        text = read_bytes(path).decode("utf-8")
    except OSError as error:
        raise DocumentError("Failed to read schema file", path, error.strerror) from error
    except UnicodeDecodeError as error:
        raise DocumentError("Failed to load model schema JSON", path, "it is not in UTF-8") from error
    try:
        document = jsonvalue.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError("Failed to load model schema JSON", path, error) from error
    if problems := list(_problems(document)):
        raise DocumentError("Model schema is invalid", path, "\n".join(problems))
    return text


def _problems(document: Any) -> Iterator[str]:
    if not isinstance(document, dict):
        yield "  it must be a JSON object"
        return
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        yield '  "openapi" must name a version, such as "3.0.2"'
    info = document.get("info")
    if not isinstance(info, dict):
        yield '  "info" must be an object'
    else:
        for key in ("title", "version"):
            if not isinstance(info.get(key), str) or not info[key]:
                yield f'  "info.{key}" must be a text'
    yield from _path_problems(document.get("paths"))
    for reference in _references(document):
        if not _resolves(document, reference):
            yield f'  "{reference}" refers to something that is not there'


def _path_problems(paths: Any) -> Iterator[str]:
    if not isinstance(paths, dict):
        yield '  "paths" must be an object'
        return
    for path, item in paths.items():
        if not path.startswith("/"):
            yield f'  the path "{path}" must begin with /'
        for method, operation in item.items() if isinstance(item, dict) else ():
            if method in _METHODS and not (
                isinstance(operation, dict) and isinstance(operation.get("responses"), dict)
            ):
                yield f'  "{method} {path}" must have "responses"'


def _references(value: Any) -> Iterator[str]:
    """Yield each local reference once, in the order of the document."""
    seen: set[str] = set()
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict):
            reference = current.get("$ref")
            if isinstance(reference, str) and reference.startswith("#") and reference not in seen:
                seen.add(reference)
                yield reference
            waiting.extend(reversed(current.values()))
        elif isinstance(current, list):
            waiting.extend(reversed(current))


def _resolves(document: Any, reference: str) -> bool:
    """Follow a JSON pointer (RFC 6901)."""
    current = document
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(current, dict) or key not in current:
            return False
        current = current[key]
    return True
