"""Does a model answer as a ``[[check]]`` of cog-nix.toml says?"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from cog_nix.check.case import CompatError
from cog_nix.check.inputs import data_url
from cog_nix.check.matching import is_number, show

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.check.asking import Answer
    from cog_nix.config.model import Check

_FILE = "@"


def inputs_of(check: Check, root: Path) -> dict[str, Any]:
    """Return what a check sends, its files as data URLs.

    Args:
        check: one.
        root: of its project.

    Raises:
        CompatError: a file cannot be read.
    """
    return {name: _with_files(value, root) for name, value in check.input.items()}


def _with_files(value: Any, root: Path) -> Any:
    if isinstance(value, list):
        return [_with_files(one, root) for one in value]
    if isinstance(value, str) and value.startswith(_FILE):
        return data_url(root / value.removeprefix(_FILE))
    return value


def unmet(check: Check, answer: Answer, root: Path) -> str:
    """Return in what an answer is not what a check expects; "" when it is.

    Args:
        check: what is expected.
        answer: what came.
        root: of the project, for files.

    Raises:
        CompatError: a file cannot be read.
    """
    if check.refused is not None:
        if answer.status == "succeeded":
            return f"{answer}, and should refuse it"
        found = re.search(check.refused, answer.message)
        return "" if found else f"{answer}; {check.refused!r} is not in that"
    return _other(check, answer, root) if answer.status == "succeeded" else str(answer)


def _other(check: Check, answer: Answer, root: Path) -> str:
    """Return in what an output is not what is expected."""
    output = answer.output
    if check.output_file is not None:
        return _other_file(output, root / check.output_file)
    if check.pattern is not None:
        text = text_of(output)
        return "" if re.search(check.pattern, text) else f"{check.pattern!r} is not in {show(text)}"
    if check.near is not None:
        return "; ".join(_off(check.near, output, check.tolerance or 0.0, "the answer"))
    return "" if check.output is None or same(check.output, output) else f"{answer}, not {show(check.output)}"


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; a truth value is no number."""
    return json.dumps(_plain(one), sort_keys=True) == json.dumps(_plain(other), sort_keys=True)


def _plain(value: Any) -> Any:
    """Return a value with whole numbers as integers: JSON has one kind of number (RFC 8259, section 6)."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return list(map(_plain, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def text_of(output: Any) -> str:
    """Return an answer as text: texts as they are, those of a list one after the other, the rest as JSON."""
    if isinstance(output, str):
        return output
    if isinstance(output, list) and all(isinstance(one, str) for one in output):
        return "".join(output)
    return json.dumps(output, ensure_ascii=False)


def _off(expected: Any, actual: Any, tolerance: float, where: str) -> list[str]:
    """Return where numbers are off by more than a tolerance, or something else differs."""
    if is_number(expected) and is_number(actual):
        if math.isclose(expected, actual, rel_tol=0.0, abs_tol=tolerance):
            return []
        return [f"{where} is {show(actual)}, not {show(expected)} by {tolerance:g}"]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return [text for at, pair in pairs for text in _off(*pair, tolerance, f"{where}[{at}]")]
    if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
        return [
            text for key in expected for text in _off(expected[key], actual[key], tolerance, f"{where}.{key}")
        ]
    return [] if same(expected, actual) else [f"{where} is {show(actual)}, not {show(expected)}"]


def _other_file(output: Any, path: Path) -> str:
    """Return in what an answer is not a file's contents."""
    try:
        wanted = path.read_bytes()
    except OSError as error:
        raise CompatError(f"{path} cannot be read: {error.strerror}") from error
    came = contents(output)
    if came is None:
        return f"the answer is {show(output)}, and no file"
    if came == wanted:
        return ""
    return f"the answer is a file of {len(came)} bytes, other than {path.name} of {len(wanted)}"


def contents(output: Any) -> bytes | None:
    """Return what is in a data URL (RFC 2397); None: it is none."""
    if not isinstance(output, str) or not output.startswith("data:"):
        return None
    head, _, data = output.partition(",")
    try:
        return base64.b64decode(data, validate=True) if head.endswith(";base64") else unquote_to_bytes(data)
    except (binascii.Error, ValueError):
        return None
