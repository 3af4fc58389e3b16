"""cog-nix.lock: JSON, keys sorted, one package a line, so that diffs read like changelogs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from cog_nix.errors import LockError
from cog_nix.lock import integrity, validity
from cog_nix.lock.model import Lock
from cog_nix.lock.reasons import parse
from cog_nix.system.files import write_atomically
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cog_nix.lock.model import Artifact, Deb, Wheel

VERSION = 3
_WITHOUT_INTEGRITY = 2
"""The version that has no digests of its parts; it is read, and the next lock has them."""
_LEFT_OUT = frozenset(
    {"cog_base", "links", "facts", "origin", "device_code", "found_in", "files", "commit", "mount"}
)
"""Parts that are not written when there is nothing in them; nor is any that is None."""
_PARTS = ("seed", "toolkit", integrity.KEY)
_ANEW = "Write it again with:  cog-nix lock --upgrade"
_CONFLICT = re.compile(r"^<{7} ", re.MULTILINE)


class NotALockError(LockError):
    """A file is not a lock that this cog-nix reads.

    Args:
        file: its name.
        problem: what is wrong with it.
        hint: what to do next.
    """

    def __init__(self, file: str, problem: str, *, hint: str = _ANEW) -> None:
        super().__init__(hint=hint)
        self.file, self.problem = file, problem

    def __str__(self) -> str:
        return f"{self.file} {self.problem}."


def dump(lock: Lock) -> str:
    """Return a lock as the text of its file."""
    data: dict[str, Any] = _without_empty({"version": VERSION, **msgspec.to_builtins(lock)})
    data["reasons"] = [[reason.package, reason.sentence] for reason in lock.reasons]
    data[integrity.KEY] = integrity.digests(data)
    return (
        "{\n" + ",\n".join(f" {json.dumps(key)}: {_block(key, data[key])}" for key in sorted(data)) + "\n}\n"
    )


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_empty(one)
            for key, one in value.items()
            if one is not None and (one or key not in _LEFT_OUT)
        }
    return [_without_empty(one) for one in value] if isinstance(value, list | tuple) else value


def _block(key: str, value: Any) -> str:
    if isinstance(value, list) and key != "programs":
        return _lines(value, "  ")
    if key in _PARTS:
        inner = [
            f"  {json.dumps(name)}: {_lines(part, '   ') if isinstance(part, list) else json.dumps(part)}"
            for name, part in sorted(value.items())
        ]
        return "{\n" + ",\n".join(inner) + "\n }"
    return json.dumps(value, sort_keys=True)


def _lines(values: list[Any], indent: str) -> str:
    if not values:
        return "[]"
    return (
        "[\n"
        + ",\n".join(indent + json.dumps(value, sort_keys=True) for value in values)
        + f"\n{indent[:-1]}]"
    )


def load(text: str, name: str) -> Lock:
    """Read a lock from the text of its file.

    Args:
        text: the file's contents.
        name: what to call the file in messages.

    Raises:
        LockError: not a lock, or of a format version that this cog-nix does not read.
        EditedLockError: something else than cog-nix wrote it.
    """
    if conflict := _CONFLICT.search(text):
        line = text.count("\n", 0, conflict.start()) + 1
        raise NotALockError(
            name,
            f"has a conflict of a merge (line {line})",
            hint=f"Take one side's, and resolve what the other has beyond it:\n"
            f"  git checkout --ours -- {name} && cog-nix lock",
        )
    try:
        data = json.loads(text, object_pairs_hook=_table)
        version = data.get("version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise NotALockError(name, f"is not a lock file: {error}") from error
    if type(version) is not int or version not in {VERSION, _WITHOUT_INTEGRITY}:
        raise NotALockError(name, f"has format version {version}; this cog-nix reads version {VERSION}")
    try:
        lock = _lock(data)
        changed = integrity.changed(data) if version == VERSION else []
    except KeyError as error:
        raise NotALockError(name, f"is damaged: {error} is missing") from error
    except (TypeError, ValueError) as error:  # msgspec's own among them, which name the field
        raise NotALockError(name, f"is damaged: {error}") from error
    if changed:
        raise integrity.EditedLockError(name, changed, lock)
    return lock


@dataclass(frozen=True)
class _Reasons:
    """What stands for reasons in a file: packages, and sentences."""

    reasons: tuple[tuple[str, str], ...]


def _lock(data: dict[str, Any]) -> Lock:
    """Return the lock that JSON stands for.

    Raises:
        ValueError: a part is missing, or something else than it may be.
    """
    rest = {name: value for name, value in data.items() if name != "reasons"}
    lock = msgspec.convert(rest, Lock)
    _refuse_gaps(lock, {"reasons": [], **rest}, "")
    pairs = msgspec.convert(data, _Reasons).reasons
    return replace(lock, reasons=tuple(parse(*pair) for pair in pairs))


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; of two values for a key, readers would show one and take the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} appears twice")
    return found


def _refuse_gaps(value: Any, data: Any, place: str) -> None:
    """Refuse data without a key that a lock is written with; a default would pass for what was locked.

    Raises:
        ValueError: names the key.
    """
    if isinstance(value, tuple):
        for number, (one, given) in enumerate(zip(value, data, strict=True)):
            if not isinstance(one, str):
                _refuse_gaps(one, given, f"{place}[{number}]")
        return
    for key in getattr(value, "__dataclass_fields__", ()):
        one = getattr(value, key)
        if key in data:
            if not isinstance(one, str):
                _refuse_gaps(one, data[key], f"{place}.{key}" if place else key)
        elif one is not None and (one or key not in _LEFT_OUT):
            raise ValueError(f"{place}.{key} is missing" if place else f"{key} is missing")


def read(path: Path) -> Lock | None:
    """Read a lock file; None when there is none.

    Raises:
        LockError: the file is not a lock that this cog-nix reads, or says what no lock may.
        EditedLockError: something else than cog-nix wrote it.
    """
    try:
        text = read_bytes(path).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise NotALockError(path.name, f"cannot be read: {error}") from error
    lock = load(text, path.name)
    validity.check(lock, path.name)
    return lock


def write(lock: Lock, path: Path) -> None:
    """Write a lock file in one step: the old one or the new one is there, never half of one."""
    write_atomically(path, dump(lock).encode())


def renew(lock: Lock, path: Path) -> None:
    """Write a lock that an older version wrote, or a formatter, as it is written today."""
    if path.read_text(encoding="utf-8") != dump(lock):
        write(lock, path)


def built_from(lock: Lock) -> list[Artifact]:
    """Return the files that the image is built from: all but the seed's, some perhaps twice."""
    own = [lock.interpreter.artifact] if lock.interpreter.artifact else []
    toolkit = artifacts_of(lock.toolkit.debs, lock.toolkit.wheels) if lock.toolkit else []
    return [*own, *artifacts_of(lock.debs, lock.wheels), *toolkit]


def artifacts_of(debs: Iterable[Deb], wheels: Iterable[Wheel]) -> list[Artifact]:
    """Return the files of packages, and of what wheels are built with."""
    files = [deb.artifact for deb in debs]
    for wheel in wheels:
        files += [wheel.artifact, *artifacts_of((), wheel.source.requires if wheel.source else ())]
    return files
