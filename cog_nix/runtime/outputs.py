"""What a model answered, as the user sees it: text for stdout, or files."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.files import FileProblem, expand_home, why
from cog_nix.runtime.jsontext import whole
from cog_nix.runtime.media import decode_data_url, extension_of
from cog_nix.runtime.schema import is_file
from cog_nix.runtime.wording import plain, quote
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.runtime.schema import Schema


_NUMBER = re.compile(r"\.[+-]?[0-9]+")
_SMALL_NUMBERS = re.compile(r'("(?:[^"\\]|\\.)*")|(-?[0-9.]+e-[0-9]+|-0\.0\b)')
"""In JSON text: strings, to pass over them, and numbers that Go and Python write differently: small, -0."""
_EXPONENT_BELOW = 1e-6


class OutputError(RuntimeFailure):
    """An output cannot be written.

    Args:
        problem: what keeps it from being written.
        number: which of a list it is.
        hint: what to do next.
    """

    def __init__(self, problem: str, number: int | None = None, *, hint: str = "") -> None:
        super().__init__(hint=hint)
        self.problem, self.number = problem, number

    def __str__(self) -> str:
        return f"Failed to write output{'' if self.number is None else f' {self.number}'}: {self.problem}"


class NotTextError(RuntimeFailure):
    """The model promises a text, and answers something else.

    Args:
        answer: it, as messages show it; empty: it is not shown.
    """

    def __init__(self, answer: str = "") -> None:
        super().__init__()
        self.answer = answer

    def __str__(self) -> str:
        return f"Failed to convert prediction output to string{self.answer and ': '}{self.answer}"


@dataclass(frozen=True)
class Destination:
    """Where output goes."""

    path: Path
    """The file that was asked for, or the default name that file outputs derive theirs from."""
    asked: bool
    """Whether the user named it; text goes to stdout otherwise."""


def choose_destination(output: str | None, *, fallback: str = "output") -> Destination:
    """Find out where output can be written, before a long prediction rather than after it.

    Args:
        output: the value of ``-o``: a file, or a folder that takes a file named ``fallback``.
        fallback: name of the file when none is given.

    Raises:
        RuntimeFailure: nothing can be written there.
    """
    asked = (output or "").removeprefix("@")
    try:
        return Destination(_find_place(asked, fallback), asked=bool(asked))
    except FileProblem as error:
        raise RuntimeFailure(
            f"Output path is not writable: {error}", hint="Name another place with -o."
        ) from error


def _find_place(asked: str, fallback: str) -> Path:
    path = Path(expand_home(asked or fallback))
    if path.is_dir():
        if not asked:
            raise FileProblem(
                f"Default output name {quote(str(path))} conflicts with directory, provide --output"
            )
        path /= fallback
    _require_writable(path)
    return path


def _require_writable(path: Path) -> None:
    try:
        path.stat()
    except FileNotFoundError:
        if not os.access(path.parent, os.W_OK):
            raise FileProblem(f"Output directory is not writable: {path.parent}") from None
    except (OSError, ValueError) as error:
        raise FileProblem(
            f"Unexpected error checking output path: {why(error, str(path), 'stat')}"
        ) from error
    else:
        if not os.access(path, os.W_OK):
            raise FileProblem(f"permission denied: {path}")


def write_files(output: Any, schema: Schema, path: Path, written: Callable[[Path], None]) -> Any:
    """Write the files of an output and return the output with their paths in place of their content.

    Args:
        output: as the HTTP API answered; a file is a data URL.
        schema: the output's schema; what is no file, nor a list of files, is returned as it is.
        path: where to; without an extension the file's type decides, in a list each item gets its number.
        written: called with the path of each file.

    Raises:
        RuntimeFailure: a file cannot be written or is not a data URL.
    """
    if is_file(schema):
        if not isinstance(output, str):
            raise NotTextError(plain(output))
        target = _write_data_url(output, path)
        written(target)
        return str(target)
    if schema.get("type") == "array" and is_file(schema.get("items")):
        if not isinstance(output, list):
            raise RuntimeFailure(f"Failed to decode output: {plain(output)}")
        stem, extension = split_extension(path.name)
        return [
            _write_item(item, schema["items"], path.with_name(f"{stem}.{number}{extension}"), number, written)
            for number, item in enumerate(output)
        ]
    return output


def _write_item(item: Any, schema: Schema, path: Path, number: int, written: Callable[[Path], None]) -> Any:
    try:
        return write_files(item, schema, path, written)
    except RuntimeFailure as error:
        raise OutputError(error.message, number, hint=error.hint) from error


def split_extension(name: str) -> tuple[str, str]:
    """Split a file's name before its last dot, wherever that stands."""
    stem, dot, extension = name.rpartition(".")
    return (stem, dot + extension) if dot else (name, "")


def text_of(output: Any, schema: Schema) -> str | None:
    """Return what stdout shows for an output, or None when its files say it all.

    Raises:
        RuntimeFailure: the schema promises a string and the model answered something else.
    """
    if is_file(schema) or (schema.get("type") == "array" and is_file(schema.get("items"))):
        return None
    if schema.get("type") == "string":
        if not isinstance(output, str):
            raise NotTextError
        return output
    return json_text(output, sort_keys=True)


def json_text(value: Any, *, sort_keys: bool = False) -> str:
    """Return indented JSON as Cog prints it: whole floats lose their fraction, ``<>&`` are escaped."""
    text = json.dumps(whole(value), indent=2, ensure_ascii=False, sort_keys=sort_keys)
    text = _SMALL_NUMBERS.sub(lambda at: at[1] or _small(at[2]), text)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _small(number: str) -> str:
    """Write a float below 1e-4 as Go does: with an exponent, without leading zeros, below 1e-6 only."""
    if number == "-0.0":
        return "-0"
    if abs(float(number)) >= _EXPONENT_BELOW:
        return format(Decimal(number), "f")
    mantissa, exponent = number.split("e-")
    return f"{mantissa}e-{int(exponent)}"


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: beside its place, then renamed; one that is there keeps its mode.

    What is no file (a device, a pipe), or lies in a folder that takes no other, is written to directly. A new
    file can be executed, as cog has it.

    Raises:
        RuntimeFailure: it cannot be written.
    """
    try:
        place = path.resolve()
        mode = path.stat().st_mode if path.exists() else None
        if mode is not None and not (stat.S_ISREG(mode) and os.access(place.parent, os.W_OK)):
            path.write_bytes(content)  # not its place: /dev/stdout is a link to what has no name
            return
        with scratch.beside(place) as new:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755), "wb") as stream:
                if mode is not None:
                    os.fchmod(stream.fileno(), stat.S_IMODE(mode))
                stream.write(content)
            new.replace(place)
    except (OSError, ValueError) as error:
        problem = why(error, str(path)) if not path.is_dir() else f"open {path}: is a directory"
        raise OutputError(problem, hint="Name another place with -o.") from error


def _write_data_url(url: str, path: Path) -> Path:
    try:
        content, media_type = decode_data_url(url)
    except ValueError as error:
        raise OutputError(str(error)) from error
    # `output.0` is the first of a list, not a file of type ".0".
    extension = split_extension(path.name)[1]
    has_extension = bool(extension) and not _NUMBER.fullmatch(extension)
    target = path if has_extension else path.with_name(path.name + extension_of(media_type))
    write_file(target, content)
    return target
