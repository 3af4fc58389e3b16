"""Sorts the lines of a requirements file into requirements and options (pip's requirements file format)."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cog_nix.fetch import urls
from cog_nix.system.processes import redact
from cog_nix_hooks.pypi.errors import RequirementError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_VALUED = {
    "-i": "index",
    "--index-url": "index",
    "--pypi-url": "index",
    "--extra-index-url": "extra",
    "-f": "find_links",
    "--find-links": "find_links",
    "--trusted-host": "trusted",
    "--only-binary": "only_binary",
    "--no-binary": "no_binary",
    "--no-build-isolation-package": "not_isolated",
    "--use-feature": "",
    "--config-settings": "",  # for one requirement, which pip hands to the build; wheels do not need it
}
_FLAGS = {
    "--no-index": "no_index",
    "--pre": "pre",
    "--prefer-binary": "prefer_binary",
    "--no-build-isolation": "not_isolated",
    "--require-hashes": "",
    "--use-pep517": "",
}
_PASSED_ON = ("-r", "--requirement", "-c", "--constraint")
_EDITABLE = re.compile(r"^(?:-e|--editable)(?:\s*=\s*|\s+)")
_REPOSITORY = re.compile(r"(?:^|@\s*)(?P<kind>git|hg|svn|bzr)\+", re.IGNORECASE)
_GIT_PROTOCOL = re.compile(r"git\+git://(?P<host>github\.com)/")
"""Unencrypted, and switched off there since March 2022; that nobody answers takes minutes to find out."""
_OPTION_BEHIND = re.compile(r"\s(?=--?[a-z])", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z0-9_]+)\}")
_NAME = re.compile(r"^\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(?:[=<>!~;@ ]|$)")
_CONDA_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*=\s*(?P<version>[A-Za-z0-9][\w.*+!-]*)(=\S*)?"
)
"""``NAME=VERSION``, and ``NAME=VERSION=BUILD``."""
_ALL = ":all:"


@dataclass(frozen=True)
class Lines:
    """What a requirements file asks for."""

    requirements: tuple[str, ...] = ()
    """Lines for uv: requirements, and ``-r`` and ``-c`` lines."""
    index: str | None = None
    """The index that replaces the default one; the last line wins, as with pip."""
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    no_binary: tuple[str, ...] = ()
    """Normalised names that must be built from source; ``:all:``: every one."""
    only_binary: tuple[str, ...] = ()
    """Normalised names that must come as wheels; ``:all:``: every one."""
    not_isolated: tuple[str, ...] = ()
    """Normalised names whose builds see the project's packages; ``:all:``: every one."""
    hashes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The sha256 that a package's file may have, by normalised name (pip's hash-checking mode)."""
    secrets: tuple[str, ...] = ()
    """Values that came from the environment (``${TOKEN}``): never to be shown or written."""
    projects: tuple[str, ...] = ()
    """``pyproject.toml`` files whose requirements uv reads itself, relative to the project."""
    extras: tuple[str, ...] = ()
    """Their extras."""
    groups: tuple[str, ...] = ()
    """Their dependency groups (PEP 735)."""
    no_index: bool = False
    pre: bool = False
    prefer_binary: bool = False

    @property
    def places(self) -> dict[str, str]:
        """The options that name where packages are, by URL."""
        return {
            **dict.fromkeys(self.find_links, "--find-links"),
            **dict.fromkeys(self.extra, "--extra-index-url"),
            **dict.fromkeys(filter(None, [self.index]), "--index-url"),
        }


def parse(lines: Iterable[str], asked_in: str, environ: Mapping[str, str] | None = None) -> Lines:
    """Sort requirement and option lines.

    Options behind a requirement (``torch==2.0.1 --extra-index-url=…``) count for the whole file, as with Cog.
    ``${NAME}`` stands for a variable of the environment, as with pip.

    Args:
        lines: of a requirements file, comments gone.
        asked_in: the file's name, for messages.
        environ: for ``${NAME}``.

    Raises:
        RequirementError: an option is unknown or lacks its value, or a requirement cannot be installed.
    """
    requirements: list[str] = []
    options: list[tuple[str, str]] = []
    hashes: dict[str, frozenset[str]] = {}
    secrets: list[str] = []
    for raw in filter(None, map(str.strip, lines)):
        line = _expanded(raw, environ or {}, secrets)
        requirement, words = _split(line, asked_in)
        requirement = _direct(requirement, asked_in)
        checks = [word for word in words if word.startswith("--hash")]
        if requirement:
            requirements.append(" ".join([requirement, *checks]))
            _note_hashes(requirement, checks, hashes)
        options += _options([word for word in words if word not in checks], line, asked_in)

    def all_of(kind: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for name, value in options if name == kind))

    def has(flag: str) -> bool:
        return any(name == flag for name, _ in options)

    return Lines(
        requirements=tuple(requirements),
        index=next((value for name, value in reversed(options) if name == "index"), None),
        extra=all_of("extra"),
        find_links=all_of("find_links"),
        trusted=all_of("trusted"),
        no_binary=_names(all_of("no_binary")),
        only_binary=_names(all_of("only_binary")),
        not_isolated=_names(value or _ALL for value in all_of("not_isolated")),
        hashes=hashes,
        secrets=tuple(dict.fromkeys(secrets)),
        no_index=has("no_index"),
        pre=has("pre"),
        prefer_binary=has("prefer_binary"),
    )


def covers(names: tuple[str, ...], name: str) -> bool:
    """Return whether a list such as ``no_binary`` covers a package."""
    return name in names or _ALL in names


def requirement_name(line: str) -> str | None:
    """Return the normalised name that a requirement begins with; None when it is a bare URL or path."""
    found = _NAME.match(line)
    return canonicalize_name(found["name"]) if found else None


def requirement_of(line: str) -> Requirement | None:
    """Return a line as a requirement (PEP 508), hashes gone; None when it is an option, a path or wrong."""
    try:
        return Requirement(re.split(r"\s--hash", line, maxsplit=1)[0])
    except InvalidRequirement:
        return None


def _expanded(line: str, environ: Mapping[str, str], secrets: list[str]) -> str:
    """Replace ``${NAME}``; a variable that is not set stays as it is (pip, "Using environment variables")."""

    def value(found: re.Match[str]) -> str:
        known = environ.get(found["name"])
        if known:
            secrets.append(known)
        return known or found[0]

    return _VARIABLE.sub(value, line)


def _names(values: Iterable[str]) -> tuple[str, ...]:
    """Return the names of pip's lists: separated by commas, ``:none:`` empties what came before."""
    found: list[str] = []
    for name in (part.strip() for value in values for part in value.split(",")):
        if name == ":none:":
            found.clear()
        elif name:
            found.append(name if name == _ALL else canonicalize_name(name))
    return tuple(dict.fromkeys(found))


def _note_hashes(requirement: str, checks: list[str], hashes: dict[str, frozenset[str]]) -> None:
    name = requirement_name(requirement)
    found = {check.partition("sha256:")[2].lower() for check in checks if "sha256:" in check}
    if name and found:
        hashes[name] = hashes.get(name, frozenset()) | found


def _split(line: str, asked_in: str) -> tuple[str, list[str]]:
    """Split a line into its requirement, if any, and the words of its options."""
    if line.startswith(_PASSED_ON) or _EDITABLE.match(line):
        return line, []
    if line.startswith("-"):
        return "", _words(line, line, asked_in)
    head, *rest = _OPTION_BEHIND.split(line, maxsplit=1)
    return head.strip(), _words(rest[0], line, asked_in) if rest else []


def _words(text: str, line: str, asked_in: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise RequirementError(
            asked_in, line, f"cannot be read: {error}", hint="Fix the quotes in this line."
        ) from error


def _options(words: list[str], line: str, asked_in: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in _FLAGS:
            found.append((_FLAGS[name], ""))
        elif name in _VALUED:
            value = value if equals else next(rest, "")
            if not value:
                problem = f"is incomplete: {name} needs a value"
                raise RequirementError(asked_in, line, problem, hint="Complete the line.")
            found.append((_VALUED[name], value))
        else:
            known = ", ".join(sorted(name for name in (*_VALUED, *_FLAGS) if name.startswith("--")))
            raise RequirementError(
                asked_in,
                line,
                f"has an unknown option {redact(word)!r}",
                hint=f"Remove it. The options of a requirements file that cog-nix knows: {known}.",
            )
    return found


def _direct(requirement: str, asked_in: str) -> str:
    """Bring what names its source into the form that uv takes; refuse what no image can be made from.

    Raises:
        RequirementError: an editable folder, version control that is not git, a protocol that is gone, or a
            pin of conda's.
    """
    if requirement.startswith(_PASSED_ON):
        return requirement
    if pin := _CONDA_PIN.fullmatch(requirement):
        raise RequirementError(
            asked_in,
            requirement,
            "has one = between name and version, as conda writes it",
            hint=f"Write {pin['name']}=={pin['version']}",
        )
    plain = _EDITABLE.sub("", requirement)
    repository = _REPOSITORY.search(plain)
    if repository is None:
        if plain != requirement:
            raise RequirementError(
                asked_in,
                requirement,
                "asks for a folder in place, which no image has: requirements are installed before the"
                " project is there",
                hint="Name an archive of it (./dist/NAME-1.0.tar.gz), or put its folder on the path in"
                ' the source: sys.path.append("/src/FOLDER").',
            )
        return requirement
    if repository["kind"].lower() != "git":
        raise RequirementError(
            asked_in,
            requirement,
            f"is in a {repository['kind'].lower()} repository, and cog-nix reads git ones only",
            hint="Name a release of it, or the URL of an archive.",
        )
    protocol = _GIT_PROTOCOL.search(plain)
    if protocol:
        raise RequirementError(
            asked_in,
            requirement,
            f"cannot be fetched: {protocol['host']} does not answer git:// any more",
            hint=f"Write {redact(plain.replace('git+git://', 'git+https://', 1))}",
        )
    return _named_by_egg(plain)


def _named_by_egg(requirement: str) -> str:
    """Turn ``git+URL#egg=NAME&subdirectory=DIR`` into ``NAME @ git+URL#subdirectory=DIR``."""
    reference, semicolon, marker = requirement.partition(" ;")
    url, _, fragment = reference.strip().partition("#")
    known = parse_qs(fragment)
    egg, folder = known.get("egg", [""])[0], known.get("subdirectory", [""])[0]
    named = f"{egg} @ {url}" if egg and requirement_name(url) is None else url
    return f"{named}{f'#subdirectory={folder}' if folder else ''}{f' ;{marker}' if semicolon else ''}"


def url_of(requirement: str) -> str:
    """Return the URL of a direct reference, marker and hashes gone; "" when it is none."""
    text = re.split(r"\s;|\s--hash", requirement, maxsplit=1)[0].strip()
    url = text.partition("@")[2].strip() if requirement_name(text) else text
    return url if "://" in url else ""


def shown(requirement: str) -> str:
    """Return a requirement as messages may show it."""
    url = url_of(requirement)
    return requirement.replace(url, urls.shown(url)) if url and urls.split(url).scheme else requirement
