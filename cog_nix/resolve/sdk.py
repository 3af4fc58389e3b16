"""Which Cog SDK an image gets: what cog.yaml and the environment say, as requirement lines.

``COG_SDK_WHEEL`` counts before ``build.sdk_version``, and that before the newest release; ``COGLET_WHEEL``
chooses the server in the same way (Cog's reference, "Environment variables"). What the project's own
requirements say of the two is left out, with a warning. For a Python that Cog has given up the resolver finds
the last release that runs on it, which comes with its own server (:mod:`cog_nix.config.legacy`).
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from cog_nix.config import legacy
from cog_nix.config.requirements import normalised
from cog_nix.config.sdk import MINIMUM, MINIMUM_FOR_SCHEMA, PRERELEASE, OldSdkError
from cog_nix.errors import LockError
from cog_nix.system.platforms import AMD64
from cog_nix.system.processes import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from cog_nix.config.model import Build
    from cog_nix.lock.model import Wheel
    from cog_nix.system.platforms import Platform

VARIABLES = {"cog": "COG_SDK_WHEEL", "coglet": "COGLET_WHEEL"}
_FIRST_WITH_COGLET = ".".join(map(str, MINIMUM_FOR_SCHEMA))
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_SEMVER_SUFFIX = re.compile(r"-(?P<kind>alpha|beta|rc|dev)(?P<number>\d*)$")
_PEP440 = {"alpha": "a", "beta": "b", "rc": "rc", "dev": ".dev"}


def overrides(
    root: Path | None, environ: Mapping[str, str] = os.environ, platform: Platform = AMD64
) -> dict[str, object]:
    """Return what the environment says about the SDK, for the lock's digest; mostly nothing.

    Args:
        root: the project; None: wheels of one's own are not looked at.
        environ: the environment.
        platform: what the image is for.
    """
    found: dict[str, object] = {}
    for package, variable in VARIABLES.items():
        value = environ.get(variable, "").strip()
        if value:
            found[variable] = [value, _content(package, value, root, platform)]
    return found


def _content(package: str, value: str, root: Path | None, platform: Platform) -> str:
    """Return the hash of the wheel that a path names; "" for what is none."""
    if root is None or value.lower().startswith(("pypi", "http://", "https://")):
        return ""
    try:
        path = _wheel(package, value, root, platform)
    except LockError:
        return ""  # locking says what is wrong with it
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def requirements(
    build: Build,
    root: Path,
    warn: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
    platform: Platform = AMD64,
) -> tuple[str, ...]:
    """Return a project's lines with Cog's own packages and pip in place of what it says of them.

    Args:
        build: ``build:`` of cog.yaml.
        root: the project.
        warn: is told of lines that are left out.
        environ: the environment.
        platform: what the image is for.

    Raises:
        LockError: a version that is none or too old, or a wheel that is not there.
    """
    last = legacy.sdk_for(build.python_version)
    least = legacy.MINIMUM_SDK if last else MINIMUM
    named = _wanted("cog", environ, least)
    cog = _version(build.sdk_version or "", least) if named is None else named
    coglet = _wanted("coglet", environ, least) or ""
    lines = list(_without_sdk(build.requirements, {"cog": cog, "coglet": coglet}, warn))
    if cog == PRERELEASE:
        warn(
            f"sdk_version {PRERELEASE!r} takes the newest pre-release of the SDK whenever pins may move;"
            " name a version for production"
        )
    early = cog == PRERELEASE or _is_prerelease(cog)
    own: list[tuple[str, str, tuple[int, ...]]] = [("cog", cog, least if last else MINIMUM_FOR_SCHEMA)]
    if not last and not _has_no_coglet(cog):
        own.append(("coglet", coglet, (0, 0)))
    found = (
        _named(name, wanted, root, platform) or _line(name, wanted, early=early, least=bound)
        for name, wanted, bound in own
    )
    return (*lines, *found, "pip")


def local_wheels(wheels: Iterable[Wheel], root: Path) -> Iterator[str]:
    """Yield upstream's line about each of Cog's packages that is a file of this machine (its ``--debug``)."""
    for wheel in wheels:
        url = wheel.artifact.url
        if wheel.name in VARIABLES and url.startswith(("file://", "./")):
            path = (
                unquote(urlsplit(url).path)
                if url.startswith("file://")
                else str(root / url.removeprefix("./"))
            )
            yield f"Using local {wheel.name} wheel: {path}"


def _wanted(package: str, environ: Mapping[str, str], least: tuple[int, ...]) -> str | None:
    """Return what the environment says: version, URL, path, or "" for the newest release; None: nothing."""
    value = environ.get(VARIABLES[package], "").strip()
    if not value:
        return None
    if not value.lower().startswith("pypi"):
        return value
    if value.lower() == "pypi":
        return ""
    kind, colon, version = value.partition(":")
    return _version(version, least) if colon and kind.lower() == "pypi" else value


def _version(text: str, minimum: tuple[int, ...]) -> str:
    """Bring a version into PEP 440's form (``0.17.0-alpha1`` is ``0.17.0a1``), and check it.

    Raises:
        LockError: it is none, or older than cog accepts.
    """
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - only where a version is named

    if text in {"", PRERELEASE}:
        return text
    version = _SEMVER_SUFFIX.sub(lambda found: _PEP440[found["kind"]] + (found["number"] or "0"), text)
    try:
        known = Version(version)
    except InvalidVersion as error:
        raise LockError(
            f"build.sdk_version: {text!r} is not a version of the Cog SDK.",
            hint='Name one, for example: sdk_version: "0.23.1"',
        ) from error
    least = ".".join(map(str, minimum))
    if Version(known.base_version) < Version(least):
        raise OldSdkError("cog SDK version", text, least)
    return version


def _named(package: str, wanted: str, root: Path, platform: Platform) -> str:
    """Return the requirement line of a wheel that is named; "": a version is, or none."""
    if wanted.startswith(("http://", "https://")):
        return f"{package} @ {wanted}"
    if wanted and wanted != PRERELEASE and not re.match(r"\d", wanted):
        return f"{package} @ {_wheel(package, wanted, root, platform).as_uri()}"
    return ""


def _line(package: str, wanted: str, *, early: bool, least: tuple[int, ...]) -> str:
    """Return the requirement line of one of Cog's packages.

    Without a bound a resolver goes back to releases that are no SDK at all rather than give up.
    """
    if wanted and wanted != PRERELEASE:
        return f"{package}=={wanted}"
    # A specifier that names a pre-release is what makes resolvers consider them (PEP 440).
    bound = ".".join(map(str, least))
    if early:
        return f"{package}>={bound}a0"
    return f"{package}>={bound}" if any(least) else package


def _wheel(package: str, wanted: str, root: Path, platform: Platform) -> Path:
    """Return the wheel that a path names: itself, or the only one for the platform in a folder.

    Raises:
        LockError: there is none, or several.
    """
    variable = VARIABLES[package]
    path = Path(wanted).expanduser().absolute()
    if not path.exists() and (root / wanted).exists():
        path = root / wanted
    if path.is_file():
        return path
    if not path.is_dir():
        raise LockError(
            f"{variable}: path not found: {path}", hint=f"Correct {variable}, or unset it for the release."
        )
    found = sorted(path.glob(f"{package}-*.whl"))
    fitting = [one for one in found if re.search(rf"{platform.machine}|-none-any", one.name)]
    if len(fitting) == 1:
        return fitting[0]
    what = "multiple wheels match" if fitting else "no wheel matches"
    raise LockError(
        f"{variable}: {what} '{package}-*.whl' in {path}", hint=f"Name the file itself in {variable}."
    )


def _has_no_coglet(version: str) -> bool:
    from packaging.version import Version  # noqa: PLC0415 - only where a version is named

    return bool(re.match(r"\d", version)) and Version(Version(version).base_version) < Version(
        _FIRST_WITH_COGLET
    )


def _is_prerelease(version: str) -> bool:
    from packaging.version import Version  # noqa: PLC0415 - only where a version is named

    return bool(re.match(r"\d", version)) and Version(version).is_prerelease


def _without_sdk(
    lines: Sequence[str], chosen: Mapping[str, str], warn: Callable[[str], None]
) -> Iterator[str]:
    for line in lines:
        named = _NAME.match(line)
        name = normalised(named.group(1)) if named else ""
        if name not in VARIABLES:
            yield line
            continue
        version = chosen[name]
        if version == PRERELEASE:
            instead = f"latest pre-release {name} from PyPI"
        elif not version:
            instead = f"latest {name} from PyPI"
        else:
            instead = f"{name}=={version} from PyPI" if re.match(r"\d", version) else version
        warn(
            redact(
                f"'{line}' found in requirements: overriding with {instead}. Remove it there and use"
                f" build.sdk_version in cog.yaml or {VARIABLES[name]} to control the version."
            )
        )
