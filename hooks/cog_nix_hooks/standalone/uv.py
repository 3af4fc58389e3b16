"""What uv knows about CPython builds: where each is, and its hash.

The list is compiled into uv; asking for it needs no network. No host is named here: uv says where its builds
are, and honours its own settings (``UV_PYTHON_INSTALL_MIRROR``, ``UV_PYTHON_DOWNLOADS_JSON_URL``,
``uv.toml``).
"""

from __future__ import annotations

import io
import re
import tarfile
from typing import TYPE_CHECKING

from cog_nix.fetch import urls
from cog_nix.system import jsonvalue, processes, scratch
from cog_nix.system.jsonvalue import list_of, mapping_of, text_of
from cog_nix.system.platforms import AMD64, Platform
from cog_nix_hooks.standalone.choice import Build
from cog_nix_hooks.standalone.errors import PythonListError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MIRROR = "UV_PYTHON_INSTALL_MIRROR"
# These would hide builds from the list, or choose among them.
_DROPPED = ("UV_PYTHON", "UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON", "UV_PYTHON_PREFERENCE", "UV_OFFLINE")
_WANTED = {
    "implementation": "cpython",
    "variant": "default",  # neither free-threaded nor a debug build
    "os": "linux",
    "libc": "gnu",
}
_ARCHIVE = (".tar.gz", ".tgz")
"""The oldest builds are Zstandard archives with everything that building them left; those are left out."""
_EXPECTED = re.compile(r"Expected:\s*(?:sha256:)?([0-9a-f]{64})\b")


def environment(environ: Mapping[str, str], mirror: str | None) -> dict[str, str]:
    """Return the environment for uv.

    Args:
        environ: the environment of this process.
        mirror: the ``[python] mirror`` of cog-nix.toml; wins over uv's own setting.
    """
    env = {name: value for name, value in environ.items() if name not in _DROPPED}
    env |= {"UV_PYTHON_DOWNLOADS": "manual", "NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
    return {**env, _MIRROR: mirror} if mirror else env


def builds(env: Mapping[str, str], platform: Platform = AMD64) -> list[Build]:
    """Return every build that could be a project's interpreter, newest first as uv lists them.

    Args:
        env: uv's environment.
        platform: that they run on.

    Raises:
        PythonListError: uv cannot tell.
    """
    # Of other processors uv tells only where it is asked for all.
    every = () if platform.is_usual else ("--all-arches",)
    options = ("--all-versions", "--all-platforms", *every, "--only-downloads", "--output-format", "json")
    listed = _run(env, "list", *options)
    if listed.returncode:
        said = processes.redact(listed.stderr.strip())
        raise PythonListError(f"uv cannot list the Pythons that it knows: {said}")
    try:
        found = list(map(mapping_of, list_of(jsonvalue.loads(listed.stdout))))
        wanted = {**_WANTED, "arch": platform.machine}
        fitting = [one for one in found if all(one.get(key) == value for key, value in wanted.items())]
        known = [Build(*(text_of(one[key]) for key in ("key", "version", "url"))) for one in fitting]
    except (ValueError, KeyError, TypeError) as error:
        raise PythonListError(f"uv's list of Pythons cannot be read: {error}") from error
    return [one for one in known if urls.filename_of(one.url).endswith(_ARCHIVE)]


def known_sha256(build: Build, env: Mapping[str, str], platform: Platform = AMD64) -> str | None:
    """Return the hash that uv expects of a build; None when uv cannot be made to tell.

    uv's list leaves the hashes out. So uv is given a mirror with an empty archive in the build's place: it
    refuses that, and says which hash it expected. Nothing is downloaded.
    """
    with scratch.folder("uv") as folder:
        mirrored = {**env, _MIRROR: (folder / "mirror").as_uri(), "UV_HTTP_RETRIES": "0"}
        try:
            there = next((one for one in builds(mirrored, platform) if one.key == build.key), None)
        except PythonListError:
            return None  # a list of the user's own, whose builds no mirror stands in for
        if there is None or not there.url.startswith((folder / "mirror").as_uri()):
            return None
        decoy = urls.local_path(there.url)
        decoy.parent.mkdir(parents=True)
        decoy.write_bytes(_empty_archive())
        refused = _run(mirrored, "install", build.key, "--no-bin", "--install-dir", str(folder / "pythons"))
        found = _EXPECTED.search(refused.stderr)
        return found.group(1) if found else None


def _empty_archive() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        folder = tarfile.TarInfo("python")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
    return stream.getvalue()


def _run(env: Mapping[str, str], *arguments: str) -> processes.Finished:
    import uv  # noqa: PLC0415 - only locking needs it

    return processes.run([uv.find_uv_bin(), "python", *arguments], env=env, check=False)
