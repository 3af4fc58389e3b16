"""Puts uv's failures into a LockError: what, where, and what to do."""

from __future__ import annotations

import textwrap
from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from cog_nix.fetch import urls
from cog_nix.system import room
from cog_nix.system.processes import redact
from cog_nix_hooks.pypi import names
from cog_nix_hooks.pypi.backends import UNCONFINED
from cog_nix_hooks.pypi.errors import PackageError, PackageIndexError
from cog_nix_hooks.pypi.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LONGEST = 1500
"""Characters of uv's explanation that are shown; the rest is seldom read."""
_COLUMNS = 100

_NO_FILE = "Choose a version that has a wheel for this Python, or another python_version."


def explain(
    stderr: str,
    *,
    asked_in: str,
    python_version: str,
    exclude_newer: str | None = None,
    direct: Iterable[str] = (),
    places: Mapping[str, str] = MappingProxyType({}),
    instead: str = "",
) -> PackageError:
    """Return the error for what uv wrote to stderr.

    Args:
        stderr: all of it; credentials in URLs are taken out here.
        asked_in: the file that the requirements stand in.
        python_version: of the interpreter in the image.
        exclude_newer: the date that limits the search, if any.
        direct: URLs that requirements name.
        places: indexes that they name, each with the option for it.
        instead: what to take for a release that no index has.
    """
    found = Output.parse(redact(stderr).replace("`-`", asked_in))
    if found.no_room:
        said = "\n".join([_shown(found.statements), *(f"  {line}" for line in room.told())])
        return PackageError(
            f"uv has no room to write to:\n{said}", hint="Free some space, then run this again."
        )
    if found.refused:
        return _refused(*found.refused)
    if found.unsatisfiable:
        return _unsatisfiable(found, asked_in, python_version, exclude_newer, instead)
    if url := found.unfetched:
        named = {urls.without_credentials(one).partition("#")[0] for one in direct}
        is_file = urls.without_credentials(url).partition("#")[0] in named
        if is_file:
            return _file_unreachable(found, asked_in)
        plain = urls.without_credentials(url)
        by = (option for place, option in places.items() if plain.startswith(urls.without_credentials(place)))
        option = next(by, "")
        return _unreachable(found, f"{option} in {asked_in}" if option else "")
    return _source_failure(found, asked_in) or PackageError(
        f"uv cannot resolve the requirements in {asked_in}:\n{_shown(found.statements)}",
        hint=_NO_FILE if found.lacks_wheel else "Fix the requirements.",
        said=found.statements,
    )


def _source_failure(found: Output, asked_in: str) -> PackageError | None:
    if found.lacks_git:
        message = f"{asked_in} names a git repository, and git is not installed here"
        hint = "Install git, or name a release of the package instead of its repository."
    elif found.git_failed:
        repository = urls.shown(found.repository) or "whose URL uv does not tell"
        message = f"{asked_in}: the git repository {repository} cannot be read: {found.repository_failure}"
        hint = "Check its URL and revision, and that git can clone it here without asking."
        if found.no_host:
            hint = (
                "Check the network; behind a proxy set HTTPS_PROXY. Where the package is in an index,"
                " NAME==VERSION needs no repository."
            )
        if "git://" in found.text:
            hint += " Few hosts still answer git://: write git+https://."
    elif found.no_sandbox:
        return _unconfined(found, asked_in)
    elif found.unbuilt or found.backend_failed or "install" in found.environment_failed:
        message = (
            f"{asked_in}: {found.unbuilt or 'a source'} does not say what it requires, and finding out by"
            f" running its build on this machine failed:\n{_shown(found.statements)}"
        )
        hint = "Name a version that has a wheel for this Python, or correct its build."
    else:
        return None
    return PackageError(message, hint=hint, said=found.statements)


def _unconfined(found: Output, asked_in: str) -> PackageError:
    """Return the error for a backend that could not be run, since there is no sandbox for it."""
    from cog_nix.namespaces import why_no_namespaces  # noqa: PLC0415 - only this failure needs it

    why = why_no_namespaces()
    what = f"{asked_in}: {found.unbuilt or 'a source'} does not say what it requires, and its build"
    return PackageError(
        f"{what} cannot be asked in a sandbox here.\n{why.message if why else _shown(found.statements)}",
        hint=f"{why.remedy if why else 'Use a version that has a wheel.'}\n"
        f"Or, if you trust it with all that you may do:  {UNCONFINED}=1 cog-nix lock",
    )


def _unsatisfiable(
    found: Output, asked_in: str, python_version: str, exclude_newer: str | None, instead: str
) -> PackageError:
    said = found.reasons
    what = f"the requirements in {asked_in} cannot be satisfied for Python {python_version}"
    if found.unknown_package:
        hint = _unknown(canonicalize_name(found.unknown_package))
    else:
        hint = (
            _no_file(found) if found.lacks_wheel else instead or "Loosen one of the requirements named above."
        )
    if exclude_newer:
        hint += f" Only what was published before {exclude_newer} is considered (python.exclude_newer)."
    return PackageError(f"{what}:\n{_shown(said)}", hint=hint, said=said)


def _no_file(found: Output) -> str:
    """Return what to do where there are wheels for other Pythons alone."""
    known = f": there are wheels for {', '.join(found.pythons)}" if found.pythons else ""
    return f"{_NO_FILE.removesuffix('.')}{known}."


def _unknown(name: str) -> str:
    """Return what to do about a package that no index has."""
    if names.is_cuda_of_conda(name):
        return f"Leave {name} out: it is a package of conda's, and wheels have their CUDA or require it."
    meant = names.meant(name)
    first = f"Did you mean {meant}? If not, check" if meant else "Check"
    return (
        f"{first} the spelling of {name}; if it is in another index, name that with --extra-index-url among"
        " the requirements or in UV_INDEX. Of several indexes, one that refuses access counts as one that"
        " lacks it."
    )


def _refused(url: str, answer: str) -> PackageIndexError:
    host = urls.host_of(url)
    return PackageIndexError(
        url,
        f"the package index {host} refuses access: {answer}",
        hint=f"Put the credentials for {host} into ~/.netrc or its URL (UV_DEFAULT_INDEX, UV_INDEX).",
    )


def _file_unreachable(found: Output, asked_in: str) -> PackageError:
    return PackageError(
        f"{asked_in} names a file that cannot be fetched: {found.cause}\n  {urls.shown(found.unfetched)}",
        hint=(
            "Check the URL, and whether its host answers. Where the package is in an index, NAME==VERSION"
            " needs no URL; a file of the project is named ./FILE."
        ),
        said=[found.cause],
    )


def _unreachable(found: Output, named_by: str) -> PackageIndexError:
    """Return the error for an index that does not answer.

    Args:
        found: what uv said.
        named_by: the option and the file that name it; "": this machine's settings do.
    """
    url, reason = found.unfetched, found.cause
    host = urls.host_of(url) or url
    if found.is_refusal:
        return _refused(url, reason)
    if found.untrusted:
        return PackageIndexError(
            url,
            f"the certificate of the package index {host} is not trusted ({reason})",
            hint="Set SSL_CERT_FILE to a file with your organisation's certificate authorities (PEM).",
        )
    other = (
        f"{named_by} names it: write the URL of one that answers, or leave it out, if PyPI has the packages"
        " as well."
        if named_by
        else "To use another index set UV_DEFAULT_INDEX (or PIP_INDEX_URL, or index-url in pip.conf)."
    )
    return PackageIndexError(
        url,
        f"the package index {host} cannot be reached: {reason}",
        hint=f"Check the network; behind a proxy set HTTPS_PROXY. {other}",
    )


def _shown(statements: Iterable[str]) -> str:
    return shorten(f"  {line}" for line in statements)


def _broken(line: str) -> str:
    """Break a line of uv's, which may have several hundred characters, between words."""
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line.strip(),
        _COLUMNS,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def shorten(lines: Iterable[str]) -> str:
    """Return the lines as one text, broken at 100 columns; the middle of a long one is left out."""
    text = "\n".join(_broken(line) for line in lines)
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half].rsplit(' ', 1)[0]} …\n  … {text[-half:].split(' ', 1)[-1]}"
