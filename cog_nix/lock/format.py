"""cog-nix.lock: JSON, keys sorted, one package a line, so that diffs read like changelogs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from cog_nix.errors import LockError
from cog_nix.lock import integrity, validity
from cog_nix.lock.model import (
    Artifact,
    Deb,
    Index,
    Interpreter,
    Lock,
    NixPackage,
    Run,
    Seed,
    Source,
    Toolkit,
    Wheel,
)
from cog_nix.lock.reasons import parse
from cog_nix.system.files import write_atomically
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

VERSION = 3
_WITHOUT_INTEGRITY = 2
"""The version that has no digests of its parts; it is read, and the next lock has them."""
_ONE_PER_LINE = (
    "base",
    "essential",
    "python",
    "system",
    "libraries",
    "linked",
    "build",
    "wheels",
    "runs",
    "reasons",
    "links",
    "facts",
    "packages",
    "indexes",
    "layers",
    "environment",
    "labels",
)
_PARTS = ("seed", "toolkit", integrity.KEY)


def dump(lock: Lock) -> str:
    """Return a lock as the text of its file."""
    data: dict[str, Any] = {
        "version": VERSION,
        "inputs": lock.inputs,
        "suite": lock.suite,
        "indexes": [vars(index) for index in lock.indexes],
        "seed": {
            "python": lock.seed.python,
            "nar_sha256": lock.seed.nar_sha256,
            "debs": [_deb(deb) for deb in lock.seed.debs],
            "wheels": [_wheel(wheel) for wheel in lock.seed.wheels],
        },
        "interpreter": _interpreter(lock.interpreter),
        "base": [_deb(deb) for deb in lock.base],
        "essential": [_deb(deb) for deb in lock.essential],
        "python": [_deb(deb) for deb in lock.python],
        "system": [_deb(deb) for deb in lock.system],
        **({"cog_base": True} if lock.cog_base else {}),
        "libraries": [_deb(deb) for deb in lock.libraries],
        "linked": [_deb(deb) for deb in lock.linked],
        "build": [_deb(deb) for deb in lock.build],
        "wheels": [_wheel(wheel) for wheel in lock.wheels],
        **({} if lock.programs is None else {"programs": list(lock.programs)}),
        "runs": [vars(run) for run in lock.runs],
        "reasons": [[reason.package, reason.sentence] for reason in lock.reasons],
        "packages": [vars(package) for package in lock.packages],
        **(
            {"links": [[name, [list(pair) for pair in pairs]] for name, pairs in lock.links]}
            if lock.links
            else {}
        ),
        **({"facts": [list(pair) for pair in lock.facts]} if lock.facts else {}),
        "layers": [[name, list(members)] for name, members in lock.layers],
        "environment": [list(pair) for pair in lock.environment],
        "labels": [list(pair) for pair in lock.labels],
        **({"toolkit": _toolkit(lock.toolkit)} if lock.toolkit else {}),
    }
    data[integrity.KEY] = integrity.digests(data)
    return (
        "{\n" + ",\n".join(f" {json.dumps(key)}: {_block(key, data[key])}" for key in sorted(data)) + "\n}\n"
    )


def _block(key: str, value: Any) -> str:
    if key in _ONE_PER_LINE:
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


def _artifact(artifact: Artifact) -> dict[str, Any]:
    return {
        "filename": artifact.filename,
        "url": artifact.url,
        "sha256": artifact.sha256,
        "size": artifact.size,
    }


def _deb(deb: Deb) -> dict[str, Any]:
    return {
        "package": deb.package,
        "version": deb.version,
        "architecture": deb.architecture,
        "depends": list(deb.depends),
        "artifact": _artifact(deb.artifact),
    }


def _wheel(wheel: Wheel) -> dict[str, Any]:
    return {
        "name": wheel.name,
        "version": wheel.version,
        "depends": list(wheel.depends),
        "artifact": _artifact(wheel.artifact),
        **({"source": _source(wheel.source)} if wheel.source else {}),
        **({"origin": wheel.origin} if wheel.origin else {}),
    }


def _source(source: Source) -> dict[str, Any]:
    return {
        "kind": source.kind,
        "requires": [_wheel(wheel) for wheel in source.requires],
        "isolated": source.isolated,
        "subdirectory": source.subdirectory,
        "revision": source.revision,
        "sees": list(source.sees),
        **({"device_code": True} if source.device_code else {}),
    }


def _toolkit(toolkit: Toolkit) -> dict[str, Any]:
    return {
        "name": toolkit.name,
        "debs": [_deb(deb) for deb in toolkit.debs],
        "wheels": [_wheel(wheel) for wheel in toolkit.wheels],
        "host_compiler": toolkit.host_compiler,
        "environment": [list(pair) for pair in toolkit.environment],
        "variables": list(toolkit.variables),
        "commands": toolkit.commands,
    }


def _interpreter(interpreter: Interpreter) -> dict[str, Any]:
    named = {"kind": interpreter.kind, "version": interpreter.version, "executable": interpreter.executable}
    return {**named, "artifact": _artifact(interpreter.artifact)} if interpreter.artifact else named


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
        raise LockError(
            f"{name} has a conflict of a merge (line {text.count(chr(10), 0, conflict.start()) + 1}).",
            hint=f"Take one side's, and resolve what the other has beyond it:\n"
            f"  git checkout --ours -- {name} && cog-nix lock",
        )
    try:
        data = json.loads(text, object_pairs_hook=_table)
        version = data.get("version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise LockError(f"{name} is not a lock file: {error}", hint=_ANEW) from error
    if type(version) is not int or version not in {VERSION, _WITHOUT_INTEGRITY}:
        raise LockError(
            f"{name} has format version {version}; this cog-nix reads version {VERSION}.", hint=_ANEW
        )
    try:
        lock = _lock(data)
        changed = integrity.changed(data) if version == VERSION else []
    except KeyError as error:
        raise LockError(f"{name} is damaged: {error} is missing.", hint=_ANEW) from error
    except (TypeError, ValueError) as error:
        raise LockError(f"{name} is damaged: {error}.", hint=_ANEW) from error
    if changed:
        raise integrity.EditedLockError(name, changed, lock)
    return lock


_ANEW = "Write it anew with:  cog-nix lock --upgrade"
_CONFLICT = re.compile(r"^<{7} ", re.MULTILINE)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; of two values for a key, readers would show one and take the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _lock(data: dict[str, Any]) -> Lock:
    seed = data["seed"]
    return Lock(
        inputs=_text(data["inputs"]),
        suite=_text(data["suite"]),
        indexes=tuple(Index(**_named_texts(index)) for index in _list(data["indexes"])),
        seed=Seed(
            python=_text(seed["python"]),
            nar_sha256=_text(seed["nar_sha256"]),
            debs=_debs(seed["debs"]),
            wheels=_wheels(seed["wheels"]),
        ),
        interpreter=_read_interpreter(data["interpreter"]),
        base=_debs(data["base"]),
        essential=_debs(data["essential"]),
        python=_debs(data["python"]),
        system=_debs(data["system"]),
        cog_base=data.get("cog_base") is True,
        libraries=_debs(data["libraries"]),
        linked=_debs(data["linked"]),
        build=_debs(data["build"]),
        wheels=_wheels(data["wheels"]),
        programs=_texts(data["programs"]) if "programs" in data else None,
        runs=tuple(Run(**_named_texts(run)) for run in _list(data["runs"])),
        reasons=tuple(parse(*pair) for pair in _pairs(data["reasons"])),
        links=tuple((_text(name), _pairs(pairs)) for name, pairs in _list(data.get("links", []))),
        facts=_pairs(data.get("facts", [])),
        packages=tuple(NixPackage(**_named_texts(package)) for package in _list(data["packages"])),
        layers=tuple((_text(name), _texts(members)) for name, members in _list(data["layers"])),
        environment=_pairs(data["environment"]),
        labels=_pairs(data["labels"]),
        toolkit=_read_toolkit(data["toolkit"]) if "toolkit" in data else None,
    )


def _debs(values: object) -> tuple[Deb, ...]:
    return tuple(
        Deb(
            package=_text(data["package"]),
            version=_text(data["version"]),
            architecture=_text(data["architecture"]),
            artifact=_read_artifact(data["artifact"]),
            depends=_texts(data["depends"]),
        )
        for data in _list(values)
    )


def _wheels(values: object) -> tuple[Wheel, ...]:
    return tuple(
        Wheel(
            name=_text(data["name"]),
            version=_text(data["version"]),
            artifact=_read_artifact(data["artifact"]),
            depends=_texts(data["depends"]),
            source=_read_source(data["source"]) if "source" in data else None,
            origin=_text(data.get("origin", "")),
        )
        for data in _list(values)
    )


def _read_toolkit(data: dict[str, Any]) -> Toolkit:
    return Toolkit(
        name=_text(data["name"]),
        debs=_debs(data["debs"]),
        wheels=_wheels(data["wheels"]),
        host_compiler=_text(data["host_compiler"]),
        environment=_pairs(data["environment"]),
        variables=_texts(data["variables"]),
        commands=_truth(data["commands"], "commands"),
    )


def _read_source(data: dict[str, Any]) -> Source:
    return Source(
        kind=_text(data["kind"]),
        requires=_wheels(data["requires"]),
        isolated=_truth(data["isolated"], "isolated"),
        subdirectory=_text(data["subdirectory"]),
        revision=_text(data["revision"]),
        sees=_texts(data["sees"]),
        device_code=_truth(data.get("device_code", False), "device_code"),
    )


def _read_interpreter(data: dict[str, Any]) -> Interpreter:
    return Interpreter(
        kind=_text(data["kind"]),
        version=_text(data["version"]),
        executable=_text(data["executable"]),
        artifact=_read_artifact(data["artifact"]) if "artifact" in data else None,
    )


def _read_artifact(data: dict[str, Any]) -> Artifact:
    size = data["size"]
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"size {size!r} is no number")
    return Artifact(
        filename=_text(data["filename"]), url=_text(data["url"]), sha256=_text(data["sha256"]), size=size
    )


def _pairs(values: object) -> tuple[tuple[str, str], ...]:
    return tuple((_text(name), _text(value)) for name, value in _list(values))


def _named_texts(data: dict[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in dict(data).items()}


def _texts(values: object) -> tuple[str, ...]:
    return tuple(map(_text, _list(values)))


def _truth(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} {value!r} is neither true nor false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


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
        raise LockError(f"{path.name} cannot be read: {error}", hint=_ANEW) from error
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
