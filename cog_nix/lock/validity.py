"""What a lock may say, whoever wrote it: checked before anything is done with it.

A lock is input, as ``cog.yaml`` is. Names and paths in it become names of files, arguments and lines of
descriptions, and its layers decide what is in an image; so each has the form that its field has (Debian
Policy 5.6, PEP 503, Nix manual), URLs are for fetching and carry no credentials, and every package is in just
one layer.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cog_nix.config.references import is_place, is_url, overlap
from cog_nix.errors import LockError
from cog_nix.lock.seals import PACKAGE
from cog_nix.system.platforms import PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cog_nix.lock.model import Artifact, Deb, Index, Interpreter, Lock, ReferencedFile, Source, Wheel

_SHOWN = 5
_LONGEST_NAME = 255
_DEBIAN_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_DEBIAN_VERSION = re.compile(r"[A-Za-z0-9.+~:-]+")
_WORD = re.compile(r"[A-Za-z0-9._+-]+")
_PYTHON_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PYTHON_VERSION = re.compile(r"[A-Za-z0-9.+!_-]+")
_MINOR = re.compile(r"\d+\.\d+")
_FILE_NAME = re.compile(r"[^/\x00-\x1f\x7f'\"\\.][^/\x00-\x1f\x7f'\"\\]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
SRI = re.compile(r"sha256-[A-Za-z0-9+/]{43}=")
"""A hash as the lock has it of what Nix hashes (W3C's Subresource Integrity)."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_URL = re.compile(r"(?:https?|file|git\+https?|git\+ssh|git\+file)://[^\s\x00-\x1f'\"\\]+")
_SSH_USER = re.compile(r"[A-Za-z0-9._~-]+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_KINDS = frozenset({"sdist", "archive", "git", "folder"})

_SEAL = re.compile("[a-z]{1,16}-[0-9]{1,9}-[0-9a-f]{32}")
Problem = tuple[str, str]
"""A field (``wheels[3].artifact.sha256``), and what is wrong with it."""


class InvalidLockError(LockError):
    """A lock says what none may.

    Args:
        name: what to call it in messages.
        problems: the first few.
    """

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name, self.problems = name, tuple(problems)
        found = [f"{field}: {why}" for field, why in problems]
        lines = found[0] if len(found) == 1 else "".join(f"\n  {line}" for line in found)
        super().__init__(
            f"{name} is not one that cog-nix writes: {lines}",
            hint=f"To have back what was locked:  git checkout -- {name}\n"
            "To resolve all of it again:  cog-nix lock --upgrade",
        )


def check(lock: Lock, name: str) -> None:
    """Refuse a lock that says what none may.

    Args:
        lock: whoever wrote it.
        name: what to call it in messages.

    Raises:
        InvalidLockError: with the fields, the first few of them.
    """
    found = list(itertools.islice(_problems(lock), _SHOWN))
    if found:
        raise InvalidLockError(name, found)


def check_commands(lock: Lock, commands: Sequence[str], name: str) -> None:
    """Refuse a lock whose layers or results are not those of the project's commands.

    Args:
        lock: one that answers the project.
        commands: their texts, in order.
        name: what to call the lock in messages.

    Raises:
        LockError: it has results, or layers, of others.
    """
    layers = sum(member.startswith("run:") for _, members in lock.layers for member in members)
    field = ""
    if len(lock.runs) > len(commands):
        field = f"runs[{len(commands)}]"
    elif different := [
        number
        for number, (run, text) in enumerate(zip(lock.runs, commands, strict=False))
        if run.command != text
    ]:
        field = f"runs[{different[0]}]"
    elif layers != len(commands):
        field = "layers"
    if field:
        raise LockError(
            f"{name} is not one that cog-nix writes: {field} does not belong to the commands of the project.",
            hint="To resolve all of it again:  cog-nix lock --upgrade",
        )


def _problems(lock: Lock) -> Iterator[Problem]:
    yield from _of_texts(lock)
    for number, name in enumerate(lock.programs or ()):
        yield from _form(_WORD, f"programs[{number}]", "name of a program", name)
    yield from _of_runs(lock)
    yield from _of_packages(lock)
    for field in ("base", "essential", "python", "system", "libraries", "linked", "build"):
        yield from _of_debs(field, getattr(lock, field))
    yield from _of_wheels("wheels", lock.wheels)
    yield from _of_seeds(lock)
    if lock.toolkit:
        yield from _of_debs("toolkit.debs", lock.toolkit.debs)
        yield from _of_wheels("toolkit.wheels", lock.toolkit.wheels)
    yield from _twice("base to linked", [deb.package for deb in lock.installed])
    yield from _of_interpreter(lock.interpreter)
    yield from _of_files(lock.files)
    yield from _of_layers(lock)


def _of_seeds(lock: Lock) -> Iterator[Problem]:
    yield from _twice("seeds", [seed.platform for seed in lock.all_seeds])
    for number, seed in enumerate(lock.all_seeds):
        field = f"seeds[{number - 1}]" if number else "seed"
        yield from _form(_MINOR, f"{field}.python", "minor version of Python", seed.python)
        yield from _form(SRI, f"{field}.nar_sha256", "SRI hash", seed.nar_sha256)
        if seed.platform and seed.platform not in PLATFORMS:
            yield f"{field}.platform", _no("platform", seed.platform)
        yield from _of_indexes(f"{field}.found_in", seed.found_in)
        yield from _of_debs(f"{field}.debs", seed.debs)
        yield from _of_wheels(f"{field}.wheels", seed.wheels)


def _of_files(files: Sequence[ReferencedFile]) -> Iterator[Problem]:
    for number, file in enumerate(files):
        field = f"files[{number}]"
        if not is_place(file.path):
            yield f"{field}.path", _no("place of a file", file.path)
        if not is_url(file.url):
            yield f"{field}.url", _no("URL of a file", file.url)
        yield from _of_sha256(f"{field}.sha256", file.sha256)
        if file.commit and not _COMMIT.fullmatch(file.commit):
            yield f"{field}.commit", _no("commit", file.commit)
    if overlap([file.path for file in files]):
        yield "files", "two of them have one place"


def _of_texts(lock: Lock) -> Iterator[Problem]:
    """Look at what is neither a package nor a layer."""
    yield from _form(_DEBIAN_NAME, "suite", "name of a suite", lock.suite)
    yield from _of_indexes("indexes", lock.indexes)
    if lock.toolkit:
        yield from _of_indexes("toolkit.found_in", lock.toolkit.found_in)
    for field, pairs in (("environment", lock.environment), ("labels", lock.labels)):
        yield from _twice(field, [key for key, _ in pairs])
        for number, (key, value) in enumerate(pairs):
            if not key or "=" in key or _CONTROL.search(key) or "\0" in value:
                yield f"{field}[{number}]", _no("name and value", key)


def _of_indexes(field: str, indexes: Sequence[Index]) -> Iterator[Problem]:
    for number, index in enumerate(indexes):
        yield from _of_url(f"{field}[{number}].uri", index.uri)
        yield from _of_sha256(f"{field}[{number}].sha256", index.sha256)
        yield from _form(_DATE, f"{field}[{number}].date", "date", index.date)


def _of_runs(lock: Lock) -> Iterator[Problem]:
    for number, run in enumerate(lock.runs):
        yield from _form(_DIGEST, f"runs[{number}].key", "digest", run.key)
        yield from _form(SRI, f"runs[{number}].nar_sha256", "SRI hash", run.nar_sha256)


_TOOLKIT = "toolkit.wheels"


def _of_packages(lock: Lock) -> Iterator[Problem]:
    for number, package in enumerate(lock.packages):
        for part in ("reference", "file", "flake", "attribute"):
            if _CONTROL.search(getattr(package, part)):
                yield f"packages[{number}].{part}", "it has control characters"
        if package.file and not _is_within(package.file):
            yield f"packages[{number}].file", _no("path in the project", package.file)


def _of_debs(field: str, debs: Sequence[Deb]) -> Iterator[Problem]:
    yield from _twice(field, [deb.package for deb in debs])
    for number, deb in enumerate(debs):
        place = f"{field}[{number}]"
        yield from _form(_DEBIAN_NAME, f"{place}.package", "name of a package", deb.package)
        yield from _form(_DEBIAN_VERSION, f"{place}.version", "version", deb.version)
        yield from _form(_WORD, f"{place}.architecture", "architecture", deb.architecture)
        yield from _of_artifact(f"{place}.artifact", deb.artifact)
        if not (
            deb.artifact.filename.startswith(f"{deb.package}_") and deb.artifact.filename.endswith(".deb")
        ):
            yield f"{place}.artifact.filename", _no(f"file of {deb.package}", deb.artifact.filename)


def _of_wheels(field: str, wheels: Sequence[Wheel]) -> Iterator[Problem]:
    # A toolkit may have parts of two releases of CUDA, whose wheels go by the same names.
    yield from _twice(
        field, [(wheel.name if field != _TOOLKIT else wheel.artifact.filename) for wheel in wheels]
    )
    for number, wheel in enumerate(wheels):
        place = f"{field}[{number}]"
        yield from _form(_PYTHON_NAME, f"{place}.name", "normalised name", wheel.name)
        yield from _form(_PYTHON_VERSION, f"{place}.version", "version", wheel.version)
        if _CONTROL.search(wheel.origin):
            yield f"{place}.origin", _no("URL", wheel.origin)
        yield from _of_artifact(f"{place}.artifact", wheel.artifact)
        if wheel.source:
            yield from _of_source(f"{place}.source", wheel.source)
        elif not _is_wheel_of(wheel):
            why = _no(f"wheel of {wheel.name} {wheel.version}", wheel.artifact.filename)
            yield f"{place}.artifact.filename", why


def _of_source(field: str, source: Source) -> Iterator[Problem]:
    if source.kind not in _KINDS:
        yield f"{field}.kind", _no("kind of source", source.kind)
    if source.subdirectory and not _is_within(source.subdirectory):
        yield f"{field}.subdirectory", _no("path in the archive", source.subdirectory)
    if source.revision.startswith("-") or _CONTROL.search(source.revision):
        yield f"{field}.revision", _no("revision", source.revision)
    yield from _of_wheels(f"{field}.requires", source.requires)


def _of_artifact(field: str, artifact: Artifact) -> Iterator[Problem]:
    name = artifact.filename
    if not _FILE_NAME.fullmatch(name) or len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
        yield f"{field}.filename", _no("name of a file", name)
    if artifact.size < 0:
        yield f"{field}.size", f"{artifact.size} is not a size"
    yield from _of_sha256(f"{field}.sha256", artifact.sha256)
    yield from _of_url(f"{field}.url", artifact.url)
    # A mirror may be a folder of this machine; then it is the package's own file that is read there.
    if artifact.url.startswith("file:") and unquote(artifact.url).rpartition("/")[2] != name:
        yield f"{field}.url", f"{artifact.url!r:.80} is not the file {name!r:.80}"


def _of_url(field: str, url: str) -> Iterator[Problem]:
    if url.startswith("./"):
        if not _is_within(url):
            yield field, _no("path in the project", url)
    elif not _URL.fullmatch(url) or ".." in unquote(url).split("/"):
        yield field, _no("URL that files are fetched from", url)
    elif _has_credentials(url):
        yield field, "a URL in a lock must not have a user or password"


def _has_credentials(url: str) -> bool:
    """Whether there is a user or a password; over SSH, the user is part of the address."""
    try:
        user, at, _ = urlsplit(url).netloc.rpartition("@")
    except ValueError:
        return True
    return bool(at) and not (url.startswith("git+ssh:") and _SSH_USER.fullmatch(user))


def _of_sha256(field: str, value: str) -> Iterator[Problem]:
    if not _SHA256.fullmatch(value):
        yield field, _no("sha256 in lower-case hexadecimal", value)


def _of_interpreter(interpreter: Interpreter) -> Iterator[Problem]:
    minor = ".".join(interpreter.version.split(".")[:2])
    if not _MINOR.fullmatch(minor) or not _WORD.fullmatch(interpreter.version):
        yield "interpreter.version", _no("version of Python", interpreter.version)
        return
    # What is unpacked comes to /usr/local; Debian's own is where Debian has it.
    folder = "/usr/local/bin" if interpreter.artifact else "/usr/bin"
    if interpreter.executable != f"{folder}/python{minor}":
        yield "interpreter.executable", f"{interpreter.executable!r:.80} is not {folder}/python{minor}"
    if interpreter.artifact:
        yield from _of_artifact("interpreter.artifact", interpreter.artifact)


def _of_layers(lock: Lock) -> Iterator[Problem]:
    """Compare what is in layers with what is locked: nothing is left out, added, or there twice."""
    found: list[str] = []
    wanted = set(_members(lock))
    for number, (name, members) in enumerate(lock.layers):
        if not _WORD.fullmatch(name) or not members:
            yield f"layers[{number}]", _no("layer", name)
        for member in members:
            if member not in wanted and member not in {"linker", f"run:{_commands(found)}"}:
                yield f"layers[{number}]", f"{member!r:.80} is not in the lock"
            found.append(member)
    yield from _twice("layers", found)
    on_top = lock.system or lock.libraries or lock.linked or _commands(found)
    essential = _essential(lock) if on_top else ()
    for member in sorted(wanted.difference(found, set(_essential(lock)).difference(essential))):
        yield "layers", f"{member!r:.80} is in none"
    if found and found[-1] != "source":
        yield f"layers[{len(lock.layers) - 1}]", "the topmost is not the source"
    if len(lock.runs) > _commands(found):
        yield f"runs[{_commands(found)}]", "it belongs to no layer"
    yield from _of_links(lock)
    yield from _of_facts(lock)


def _members(lock: Lock) -> Iterator[str]:
    """Yield what layers are made of, but for results of commands and what the dynamic linker is told."""
    yield from ("source", "state:base", "interpreter" if lock.interpreter.artifact else "venv")
    yield from (f"deb:{deb.package}" for deb in lock.installed)
    yield from (f"wheel:{wheel.name}" for wheel in lock.wheels)
    yield from (f"links:{name}" for name, _ in lock.links)
    states = {"system": lock.system or lock.libraries, "linked": lock.linked}
    yield from (f"state:{name}" for name, debs in states.items() if debs)
    yield from _essential(lock)[:1]


def _essential(lock: Lock) -> tuple[str, ...]:
    """Return what the rest of the base system adds to layers, where there is anything that needs it."""
    packages = (f"deb:{deb.package}" for deb in lock.essential)
    return ("state:essential", *packages) if lock.essential else ()


def _of_links(lock: Lock) -> Iterator[Problem]:
    names = {wheel.name for wheel in lock.wheels}
    for number, (name, pairs) in enumerate(lock.links):
        if name not in names or not all(_is_within(path) for pair in pairs for path in pair):
            yield f"links[{number}]", f"{name!r:.80} links to what is not in its wheels"


def _of_facts(lock: Lock) -> Iterator[Problem]:
    names = {wheel.name for wheel in lock.wheels} | {f"{PACKAGE}{deb.package}" for deb in lock.installed}
    for number, (name, seal) in enumerate(lock.facts):
        if name not in names or not _SEAL.fullmatch(seal):
            yield f"facts[{number}]", f"{name!r:.80} with {seal!r:.80} names nothing that is in it"


def _commands(members: Sequence[str]) -> int:
    return sum(member.startswith("run:") for member in members)


def _twice(field: str, names: Sequence[str]) -> Iterator[Problem]:
    if len(set(names)) < len(names):
        for name, times in Counter(names).items():
            if times > 1:
                yield field, f"{name!r:.80} is there {times} times"


def _is_wheel_of(wheel: Wheel) -> bool:
    """Whether a file's name says the name and version that the lock does (binary distribution format)."""
    name, _, rest = wheel.artifact.filename.partition("-")
    version = rest.partition("-")[0]
    if not wheel.artifact.filename.endswith(".whl") or re.sub(r"[-_.]+", "-", name).lower() != wheel.name:
        return False
    return version == wheel.version or _is_same_version(version, wheel.version)


def _is_same_version(one: str, other: str) -> bool:
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - rarely needed: 20 ms

    try:
        return Version(one.replace("_", "-")) == Version(other)
    except InvalidVersion:
        return False


def _is_within(path: str) -> bool:
    """Whether a relative path stays below where it starts."""
    return not (path.startswith("/") or ".." in path.split("/") or "\\" in path or _CONTROL.search(path))


def _form(form: re.Pattern[str], field: str, what: str, text: str) -> Iterator[Problem]:
    """Yield that a text has not the form that its field has."""
    if not form.fullmatch(text):
        yield field, _no(what, text)


def _no(what: str, value: str) -> str:
    return f"{value!r:.80} is not a {what}"
