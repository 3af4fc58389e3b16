"""The story: a ``python_version`` in, an interpreter with the archive that it is unpacked from out."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from cog_nix import fetch
from cog_nix.errors import FetchError, LockError
from cog_nix.fetch import urls
from cog_nix.lock.model import Artifact
from cog_nix.plugins.spec import InterpreterChoice
from cog_nix_hooks.standalone import uv
from cog_nix_hooks.standalone.choice import choose, fits, minor_of, nearest

if TYPE_CHECKING:
    from cog_nix.lock.model import Interpreter
    from cog_nix.plugins.spec import Context
    from cog_nix_hooks.standalone.choice import Build

KIND = "standalone"
_SUITE, _SUITE_OF_OLD = "trixie", "bookworm"
_FIRST_ON_NEWEST = 10
"""Python 3.9 and older go with wheels of their time: see docs/design/old-pythons.md."""
_VERSION = re.compile(r"3\.\d+(\.\d+([abc]|rc)?\d*)?")
_LAST_WITH_CRYPT = 12
_DEBIANS_OWN = 'Debian\'s own Pythons need no such download: python_version: "3.13", or "3.11".'


def offer_interpreter(
    python_version: str, pinned: Interpreter | None, context: Context
) -> InterpreterChoice | None:
    """Offer a build of the version that is asked for.

    Args:
        python_version: minor or patch level, as in cog.yaml.
        pinned: what the lock so far holds; kept when it is such a build and still fits.
        context: settings and services.

    Raises:
        LockError: there is no such version, or it cannot be downloaded.
    """
    if not _VERSION.fullmatch(python_version):
        return None
    if pinned and pinned.kind == KIND and pinned.artifact and fits(pinned.version, python_version):
        return _choice(pinned.version, pinned.artifact)
    env = uv.environment(os.environ, context.settings.python.mirror)
    listed = uv.builds(env)
    build = choose(listed, python_version)
    if build is None:
        raise LockError(
            f"There is no Python {python_version} that cog-nix could take: neither Debian nor the list of "
            f"uv {uv.version()} has it.",
            hint=f"Near it are {', '.join(nearest(listed, python_version)) or 'none'}. "
            "A newer uv may know more:  pip install --upgrade uv\n"
            "For a build of your own, name a list with it in UV_PYTHON_DOWNLOADS_JSON_URL.",
        )
    return _choice(build.version, _artifact(build, uv.known_sha256(build, env), context))


def _choice(version: str, artifact: Artifact) -> InterpreterChoice:
    minor = minor_of(version)
    number = int(minor.partition(".")[2])
    # The module crypt, gone in Python 3.13, alone needs a library that the build does not bring.
    crypt = ("libcrypt1",) if number <= _LAST_WITH_CRYPT else ()
    return InterpreterChoice(
        kind=KIND,
        minor=minor,
        suite=_SUITE if number >= _FIRST_ON_NEWEST else _SUITE_OF_OLD,
        packages=("media-types", *crypt),
        executable=f"/usr/local/bin/python{minor}",
        version_of="",
        wheel_libraries=("libstdc++6",),
        artifact=artifact,
        version=version,
    )


def _artifact(build: Build, sha256: str | None, context: Context) -> Artifact:
    """Download a build; return it as the lock names it, with the hash of uv's list or else the one it has."""
    try:
        if sha256 is None:
            sha256, _ = fetch.measure(build.url)
        wanted = Artifact(urls.filename_of(build.url), urls.without_credentials(build.url), sha256, size=0)
        path = context.fetcher.artifacts([wanted])[sha256]
    except FetchError as error:
        raise LockError(
            f"Python {build.version} cannot be downloaded: {error.message}", hint=_hint(error)
        ) from error
    return replace(wanted, size=path.stat().st_size)


def _hint(error: FetchError) -> str:
    return "\n".join(
        [
            *([error.hint] if error.hint else []),
            "It is one of the builds that uv installs. Where they cannot be reached, name a mirror of them:",
            '  mirror = "https://mirror.example.org/pythons"    under [python] in cog-nix.toml, or',
            "  UV_PYTHON_INSTALL_MIRROR in the environment; a file:// URL of a folder will do.",
            _DEBIANS_OWN,
        ]
    )
