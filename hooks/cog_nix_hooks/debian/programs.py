"""Debian's Nix and its container engine, run from a folder of the cache without root, dpkg or host libraries.

Each program is started through the dynamic loader that it was built with, by a launcher: a shell script of a
few lines. Nothing in the folder is changed once it is there; its name tells what it is made of. Bubblewrap is
the engine, because it does not care how cgroups are mounted, and does not execute itself anew as crun does.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cog_nix.elf.folder import read_file
from cog_nix.errors import CogNixError, FetchError
from cog_nix.store.library import nix_library
from cog_nix.system import jsonvalue, scratch
from cog_nix.system.platforms import BUILDER, host_platform
from cog_nix.system.processes import run

from . import pins
from .settings import DebianSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from cog_nix.plugins.spec import Context, ProgramFiles

    from .pins import Pins

TITLES = {"nix": ("Nix", "nix-bin"), "container": ("bubblewrap", "bubblewrap")}
"""What each set is called, and the package whose version is its own."""
_NIX = (
    *("nix", "nix-build", "nix-collect-garbage", "nix-copy-closure", "nix-env", "nix-hash"),
    *("nix-instantiate", "nix-prefetch-url", "nix-shell", "nix-store"),
)
_PROGRAMS: Mapping[str, Mapping[str, str]] = {
    "nix": {**dict.fromkeys(_NIX, "nix"), "bash-static": "bash-static"},
    "container": {name: name for name in ("bwrap", "mount", "setpriv", "tar", "unshare")},
}
"""The file that each program is in."""
_SHELL = "bash-static"
"""What builds of others find as ``/bin/sh``; Debian's Nix looks for it in ``/usr/bin``. Needs no loader."""
_LOADER = BUILDER.loader.rpartition("/")[2]
_LAYOUT = "1"
"""To be changed with what is made of the same packages."""
_HERE = 'here={folder}\n[ -d "$here" ] || here=${{0%/*}}/..  # the cache was moved\n'
_START = (
    f'exec "$here/lib/{_LOADER}" --argv0 {{name}} --library-path "$here/lib" "$here/programs/{{file}}" "$@"\n'
)
# Nix looks for itself where it was installed, or beside /proc/self/exe, which is the loader. Its list of
# paths knows no quotes, so builds of others have no shell where the folder's name has a space.
_NIX_VARIABLES = """\
export NIX_BIN_DIR="$here/bin"
case $here in *' '*) ;; *) export NIX_CONFIG="sandbox-paths = /bin/sh=$here/programs/bash-static
$NIX_CONFIG" ;; esac
"""


def provide(name: str, context: Context) -> Path | None:
    """Return the folder of a set's launchers; fetch and unpack what it is made of the first time.

    Returns:
        None on machines that nothing is built on.

    Raises:
        LockError: there are no pins, and the archive cannot be read.
        FetchError: a package cannot be downloaded.
    """
    if not _is_for_here(name):
        return None
    return make(name, _pinned(context), context) / "bin"


def describe(name: str, context: Context) -> ProgramFiles | None:
    """Return the packages of a set, and a record that :func:`recall` reads; None on other machines.

    Raises:
        LockError: there are no pins, and the archive cannot be read.
        FetchError: as above.
    """
    if not _is_for_here(name):
        return None
    from cog_nix.plugins.spec import ProgramFiles  # noqa: PLC0415 - archives alone get here

    from .sources import find_archive  # noqa: PLC0415

    found = _pinned(context)
    archive = find_archive(context.settings.table(DebianSettings), os.environ)
    files = tuple(pin.artifact(archive) for pin in found.programs[name])
    return ProgramFiles(files, json.dumps(found.plain(), sort_keys=True))


def recall(name: str, record: str, context: Context, *, trusted: bool) -> bool | None:
    """Go by the packages of a record, unless those of now are unpacked here.

    Nothing vouches for a record: its packages are run when they are those of our pins, or on the user's word.

    Returns:
        Whether it does no harm to go on; None on other machines, or where the record is none.
    """
    if not _is_for_here(name):
        return None
    now = pins.current(context.cache_dir)
    if now and folder(name, now, context.cache_dir).is_dir():
        return True
    try:
        found = pins.Pins.parse(jsonvalue.loads(record), released=False)
        packages = found.programs[name]
    except (ValueError, KeyError, TypeError):
        return None
    if now and now.programs.get(name) == packages:
        return True
    if trusted:
        pins.take(found, context.cache_dir)
    return trusted


def _is_for_here(name: str) -> bool:
    return name in _PROGRAMS and host_platform() is not None


def _pinned(context: Context) -> Pins:
    found = pins.current(context.cache_dir)
    if found is None:
        context.reporter.info(
            "No versions are pinned for cog-nix's own programs: taking what Debian has now."
        )
        found = pins.renew(context)
    return found


def folder(name: str, found: Pins, cache: Path) -> Path:
    """Return where a set of programs is, once it is made."""
    return cache / "programs" / f"{name}-{_LAYOUT}-{found.digest(name)[:32]}"


def make(name: str, found: Pins, context: Context) -> Path:
    """Fetch and unpack a set of programs unless another process did; return its folder.

    Raises:
        LockError: a package has gone from the mirror, and the archive cannot be read.
        FetchError: a package cannot be downloaded.
    """
    if (there := folder(name, found, context.cache_dir)).is_dir():
        return there
    files, found = _fetched(name, found, context)
    target = folder(name, found, context.cache_dir)
    with _alone(target.parent):
        if not target.is_dir():
            _unpack(name, files, target)
    return target


def _fetched(name: str, found: Pins, context: Context) -> tuple[list[Path], Pins]:
    """Download the packages, or what has replaced those that the mirror has dropped; return what it was."""
    from cog_nix.fetch.failures import StatusError  # noqa: PLC0415 - only the first time gets here

    from .sources import find_archive  # noqa: PLC0415 - as above

    title, package = TITLES[name]
    archive = find_archive(context.settings.table(DebianSettings), os.environ)
    context.reporter.step(f"Fetching {title} {found.version(package)}, once for all projects")
    artifacts = [pin.artifact(archive) for pin in found.programs[name]]
    try:
        files = context.fetcher.artifacts(artifacts)
    except FetchError as error:
        newer = pins.renew(context) if isinstance(error, StatusError) and error.gone else found
        if newer.programs == found.programs:
            raise
        context.reporter.info(f"The archive has dropped a pinned package of {title}: taking what it has now.")
        return _fetched(name, newer, context)
    return [files[artifact.sha256] for artifact in artifacts], found


def _unpack(name: str, debs: list[Path], target: Path) -> None:
    """Make the folder beside its place, and rename it."""
    with scratch.folder("new", target.parent) as beside:
        spec = beside / "spec.json"
        files = {f"usr/bin/{file}" for file in _PROGRAMS[name].values()}
        spec.write_text(json.dumps({"debs": [*map(str, debs)], "programs": sorted(files)}))
        run([sys.executable, "-B", nix_library() / "builders/portable.py", spec, beside / "tree"])
        _trim(beside / "tree")
        _write_launchers(name, beside / "tree", target)
        _flush(beside / "tree")
        (beside / "tree").rename(target)


def _trim(tree: Path) -> None:
    """Remove libraries that no program loads.

    Raises:
        CogNixError: one that a program loads is missing.
    """
    waiting = [*(tree / "programs").iterdir()]
    wanted = {_LOADER}
    while waiting:
        file = waiting.pop()
        described = read_file(file)
        for library in described.needed if described else ():
            if not (tree / "lib" / library).exists():
                raise CogNixError(
                    f"Debian's packages do not fit: {file.name} needs {library}, which none of them has.",
                    hint="Try `cog-nix doctor --fix`, or install the program and set COG_NIX_NIX.",
                )
            if library not in wanted:
                wanted.add(library)
                waiting.append(tree / "lib" / library)
    kept = {(tree / "lib" / library).resolve() for library in wanted}
    for path in (tree / "lib").iterdir():
        if path.name not in wanted and (path.is_symlink() or path.resolve() not in kept):
            path.unlink()


def _write_launchers(name: str, tree: Path, final: Path) -> None:
    (tree / "bin").mkdir()
    variables = _NIX_VARIABLES if name == "nix" else ""
    for program, file in _PROGRAMS[name].items():
        if file != _SHELL:
            lines = (
                _HERE.format(folder=shlex.quote(str(final)))
                + variables
                + _START.format(name=program, file=file)
            )
            launcher = tree / "bin" / program
            launcher.write_text(f"#!/bin/sh\n{lines}")
            launcher.chmod(0o755)


def _flush(tree: Path) -> None:
    """Bring files to the disk before the folder has its name: nobody looks into it again."""
    for path in tree.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())


@contextmanager
def _alone(programs: Path) -> Iterator[None]:
    """Keep other processes from making folders at the same time."""
    programs.mkdir(parents=True, exist_ok=True)
    with (programs / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
