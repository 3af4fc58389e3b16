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
from cog_nix.system.platforms import AMD64, PLATFORMS
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.lock.model import Artifact, Deb, Wheel
    from cog_nix.system.platforms import Platform

VERSION = 3
_WITHOUT_INTEGRITY = 2
"""The version that has no digests of its parts; it is read, and the next lock has them."""
_LEFT_OUT = frozenset(
    {
        "cog_base",
        "links",
        "facts",
        "origin",
        "device_code",
        "found_in",
        "files",
        "commit",
        "mount",
        "platform",
        "seeds",
    }
)
"""Parts that are not written when there is nothing in them; nor is any that is None."""
_PARTS = ("seed", "toolkit", integrity.KEY)
_SEEDS = "seeds"
_OTHERS = "platforms"
"""Where the locks of further platforms are, by their names, each as one that is alone in its file."""
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


class NoPlatformError(LockError):
    """A lock has nothing for a platform.

    Args:
        file: its name.
        platform: what is asked for.
        there: what it is for.
    """

    def __init__(self, file: str, platform: str, there: Sequence[str]) -> None:
        super().__init__(hint=f"Lock that as well:  cog-nix lock --platform {platform}")
        self.file, self.platform, self.there = file, platform, tuple(there)

    def __str__(self) -> str:
        return f"{self.file} is for {' and '.join(self.there)}, and not for {self.platform}."


def dump(lock: Lock, others: Iterable[Lock] = ()) -> str:
    """Return a lock as the text of its file.

    Args:
        lock: the lock of one platform.
        others: those of other platforms, that the file has as well.
    """
    first, *rest = sorted((lock, *others), key=lambda one: (not one.target.is_usual, one.platform))
    data = _described(first)
    if rest:
        data[_OTHERS] = {one.platform: _described(one) for one in rest}
    data[integrity.KEY] = integrity.digests(data)
    return _text(data, "")


def _described(lock: Lock) -> dict[str, Any]:
    seed, *seeds = lock.all_seeds
    lock = replace(lock, seed=seed, seeds=tuple(seeds))
    data: dict[str, Any] = _without_empty({"version": VERSION, **msgspec.to_builtins(lock)})
    data["reasons"] = [[reason.package, reason.sentence] for reason in lock.reasons]
    return data


def _text(data: Mapping[str, Any], indent: str) -> str:
    """Return a lock's JSON, with the lines after the first indented."""
    lines = [f"{indent} {json.dumps(key)}: {_block(key, data[key], indent)}" for key in sorted(data)]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}" + ("" if indent else "\n")


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_empty(one)
            for key, one in value.items()
            if one is not None and (one or key not in _LEFT_OUT)
        }
    return [_without_empty(one) for one in value] if isinstance(value, list | tuple) else value


def _block(key: str, value: Any, indent: str) -> str:
    if key == _SEEDS:
        inner = [f"{indent}  {_table_of_lists(part, f'{indent}  ')}" for part in value]
        return "[\n" + ",\n".join(inner) + f"\n{indent} ]"
    if isinstance(value, list) and key != "programs":
        return _lines(value, f"{indent}  ")
    if key == _OTHERS:
        inner = [
            f"{indent}  {json.dumps(name)}: {_text(one, indent + '  ')}"
            for name, one in sorted(value.items())
        ]
        return "{\n" + ",\n".join(inner) + f"\n{indent} }}"
    if key in _PARTS:
        return _table_of_lists(value, f"{indent} ")
    return json.dumps(value, sort_keys=True)


def _table_of_lists(value: Mapping[str, Any], indent: str) -> str:
    inner = [
        f"{indent} {json.dumps(name)}: "
        f"{_lines(part, indent + '  ') if isinstance(part, list) else json.dumps(part)}"
        for name, part in sorted(value.items())
    ]
    return "{\n" + ",\n".join(inner) + f"\n{indent}}}"


def _lines(values: list[Any], indent: str) -> str:
    if not values:
        return "[]"
    return (
        "[\n"
        + ",\n".join(indent + json.dumps(value, sort_keys=True) for value in values)
        + f"\n{indent[:-1]}]"
    )


def load(text: str, name: str, platform: Platform | None = None) -> Lock:
    """Read a lock from the text of its file.

    Args:
        text: the file's contents.
        name: what to call the file in messages.
        platform: whose lock; None: the first one's, which is linux/amd64 where the file has that.

    Raises:
        NoPlatformError: the file has nothing for the platform.
        LockError: not a lock, or of a format version that this cog-nix does not read.
        EditedLockError: something else than cog-nix wrote it.
    """
    data, version = _parsed(text, name)
    try:
        sections = _sections(data)
        chosen = next(iter(sections)) if platform is None else platform.name
        if chosen not in sections:
            raise NoPlatformError(name, chosen, tuple(sections))
        lock = _lock(sections[chosen])
        changed = integrity.changed(data) if version == VERSION else []
    except KeyError as error:
        raise NotALockError(name, f"is damaged: {error} is missing") from error
    except (TypeError, ValueError) as error:  # msgspec's own among them, which name the field
        raise NotALockError(name, f"is damaged: {error}") from error
    if changed:
        raise integrity.EditedLockError(name, changed, lock)
    return lock


def platforms_of(text: str, name: str) -> tuple[Platform, ...]:
    """Return the platforms that a lock's file is for, the first one first.

    Raises:
        LockError: not a lock, or of a format version that this cog-nix does not read.
    """
    data, _ = _parsed(text, name)
    try:
        return tuple(PLATFORMS[one] for one in _sections(data))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise NotALockError(name, f"is damaged: {_OTHERS}: {error}") from error


def _parsed(text: str, name: str) -> tuple[dict[str, Any], int]:
    """Return what a lock's JSON says, and its format's version."""
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
    return data, version


def _sections(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the lock of each platform, by its name.

    Raises:
        ValueError: there is one for something else.
    """
    others = data.get(_OTHERS, {})
    if not isinstance(others, dict) or not all(isinstance(one, dict) for one in others.values()):
        raise ValueError(f"{_OTHERS} is not a table of locks")
    first = data.get("platform") or AMD64.name
    if unknown := sorted({str(first), *others} - PLATFORMS.keys()):
        raise ValueError(f"there is no platform {unknown[0]!r:.80}")
    if first in others:
        raise ValueError(f"{first} appears twice")
    if wrong := [name for name, one in others.items() if one.get("platform") != name]:
        raise ValueError(f"{_OTHERS}: the lock of {wrong[0]} says that it is for another platform")
    return {first: {key: one for key, one in data.items() if key != _OTHERS}, **others}


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
    # This machine's first; what has none keeps the file's order.
    seed, *seeds = sorted((lock.seed, *lock.seeds), key=lambda one: not one.runs_here)
    return replace(lock, seed=seed, seeds=tuple(seeds), reasons=tuple(parse(*pair) for pair in pairs))


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


def read(path: Path, platform: Platform | None) -> Lock | None:
    """Read the lock of a platform; None when there is no file, or nothing for the platform in it.

    Args:
        path: the file.
        platform: whose lock; None: the first one's.

    Raises:
        LockError: the file is not a lock that this cog-nix reads, or says what no lock may.
        EditedLockError: something else than cog-nix wrote it.
    """
    text = _read(path)
    if text is None:
        return None
    try:
        lock = load(text, path.name, platform)
    except NoPlatformError:
        return None
    validity.check(lock, path.name)
    return lock


def locked_platforms(path: Path) -> tuple[Platform, ...]:
    """Return the platforms that a lock's file is for; none when there is no file.

    Raises:
        LockError: the file is not a lock that this cog-nix reads.
    """
    text = _read(path)
    return () if text is None else platforms_of(text, path.name)


def _read(path: Path) -> str | None:
    try:
        return read_bytes(path).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise NotALockError(path.name, f"cannot be read: {error}") from error


def write(lock: Lock, path: Path) -> None:
    """Write the lock of a platform; those of others stay as they are.

    It is one step: the old file or the new one is there, never half of one.
    """
    write_atomically(path, dump(lock, _others(lock, path)).encode())


def forget(platform: Platform, path: Path) -> None:
    """Take a platform out of a file that has others."""
    left = [one for other in locked_platforms(path) if other != platform and (one := read(path, other))]
    if left:
        write_atomically(path, dump(left[0], left[1:]).encode())


def _others(lock: Lock, path: Path) -> list[Lock]:
    """Return the locks of other platforms in a file; one that cannot be read has none."""
    try:
        names = [one for one in locked_platforms(path) if one != lock.target]
        return [found for one in names if (found := read(path, one))]
    except LockError:
        return []


def renew(lock: Lock, path: Path) -> None:
    """Write a lock that an older version wrote, or a formatter, as it is written today."""
    text = path.read_text(encoding="utf-8")
    if text != dump(lock) and text != dump(lock, _others(lock, path)):
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
