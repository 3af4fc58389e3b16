"""The story: a ``python_version`` in, an interpreter with the archive that it is unpacked from out."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from cog_nix.errors import FetchError
from cog_nix.fetch import caching, urls
from cog_nix.lock.model import Artifact
from cog_nix.plugins.spec import InterpreterChoice
from cog_nix_hooks.standalone import uv
from cog_nix_hooks.standalone.choice import choose, fits, minor_of, nearest
from cog_nix_hooks.standalone.errors import PythonDownloadError, UnknownPythonError

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


def offer_interpreter(
    python_version: str, pinned: Interpreter | None, context: Context
) -> InterpreterChoice | None:
    """Offer a build of the version that is asked for.

    Args:
        python_version: minor or patch level, as in cog.yaml.
        pinned: what the lock so far holds; kept when it is such a build and still fits.
        context: settings and services.

    Raises:
        UnknownPythonError: there is no such version.
        PythonDownloadError: it cannot be downloaded.
        PythonListError: uv cannot tell.
    """
    if not _VERSION.fullmatch(python_version):
        return None
    if pinned and pinned.kind == KIND and pinned.artifact and fits(pinned.version, python_version):
        return _choice(pinned.version, pinned.artifact)
    env = uv.environment(os.environ, context.settings.python.mirror)
    listed = uv.builds(env, context.platform)
    build = choose(listed, python_version)
    if build is None:
        raise UnknownPythonError(
            python_version, version("uv"), nearest(listed, python_version), context.platform.name
        )
    return _choice(build.version, _artifact(build, uv.known_sha256(build, env, context.platform), context))


def _choice(full: str, artifact: Artifact) -> InterpreterChoice:
    minor = minor_of(full)
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
        version=full,
    )


def _artifact(build: Build, sha256: str | None, context: Context) -> Artifact:
    """Download a build; return it as the lock names it, with the hash of uv's list or else the one it has."""
    try:
        if sha256 is None:
            sha256, _ = caching.measure(build.url)
        wanted = Artifact(urls.filename_of(build.url), urls.without_credentials(build.url), sha256, size=0)
        path = context.fetcher.artifacts([wanted])[sha256]
    except FetchError as error:
        raise PythonDownloadError(build.version, error) from error
    return replace(wanted, size=path.stat().st_size)
