"""Install Debian packages with the real dpkg, every maintainer script run, and split the result by package.

Spec::

    {"packages": [{"name": "bash", "output": "bash_5.2", "path": store path of its .deb, "always": true}, …],
     "lower": [store path of a fragment, …]}

Each package becomes a fragment in the output of its name: the files that dpkg says it owns. What belongs to
nobody (dpkg's database, users, alternatives, caches, links made by scripts) is the fragment in ``out``. With
an empty ``lower`` the system is bootstrapped first: the packages are unpacked by hand so that dpkg itself can
run, then dpkg installs them properly over that.
"""

from __future__ import annotations

import os
import shlex
import stat
import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import archive
import cleanup
import confinement
import deb
import dpkg
import entries
import forks
import inputs
import namespace
import postponed
import snapshot
import splitter
import stable_files
import state
import unpack
from failure import BuildError, CommandError
from ownership import Ownership

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_STATE_DIRS = ("updates", "info", "parts", "triggers", "alternatives")
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C",
    "TZ": "UTC",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "SOURCE_DATE_EPOCH": str(archive.MTIME),
    "FORCE_SOURCE_DATE": "1",  # TeX asks for this one as well (texmfmp.c)
}
_SLIM_CONFIG = "etc/dpkg/dpkg.cfg.d/docker"
_INSIDE = "/cog-nix"
"""Where the packages are seen while they are installed."""
_EXPANSION = 5
"""How much larger a package is than compressed, about."""
_SHOWN = 120
"""Characters of a command that a message shows."""


class Package(TypedDict):
    """One package of the spec."""

    name: str
    output: str
    path: str
    always: bool
    """Whether it is in every image."""


Fragments = list[tuple[Package, list[archive.Entry]]]
"""What is installed of each package."""


def decompress(packages: Sequence[Package], folder: Path) -> tuple[list[Package], Iterator[Package]]:
    """Start to write the same packages without compression to ``folder``.

    Returns:
        The packages at once, and one by one as they are written.
    """
    folder.mkdir()
    plain: list[Package] = [
        {**package, "path": str(folder / f"{package['name']}.deb")} for package in packages
    ]
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    done = pool.map(
        lambda pair: deb.decompress(Path(pair[0]["path"]), Path(pair[1]["path"])),
        zip(packages, plain, strict=True),
    )
    pool.shutdown(wait=False)
    return plain, (package for package, _ in zip(plain, done, strict=True))


def unpack_by_hand(packages: Iterable[Package], root: Path) -> tuple[splitter.Owners, list[list[str]]]:
    """Put the packages' files in place without dpkg, so that dpkg and its helpers can run.

    Returns:
        Whose everything is, and the paths of each package in its order.
    """
    found: splitter.Owners = {}
    paths: list[list[str]] = []
    folders: set[str] = set()
    for name in dpkg.LINKS:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        paths.append([])
        for info, tar in deb.data(Path(package["path"])):
            _make_if_manual(info, root)
            if info.name not in dpkg.MERGED and not deb.left_out(info.name):
                _place(info, tar, root, folders)
                _note(info, found)
                paths[-1].append(dpkg.merged(info.name))
    for path, attributes in found.items():
        # dpkg leaves folders that exist as they are.
        if (root / path).is_dir():
            (root / path).chmod(attributes.mode & splitter.PLAIN | stat.S_IRWXU)
    return found, paths


def _place(info: tarfile.TarInfo, tar: tarfile.TarFile, root: Path, folders: set[str]) -> None:
    """Make one file; ``folders`` are those that are known to be there."""
    target = f"{root}/{dpkg.merged(info.name)}"
    folder = target if info.isdir() else os.path.dirname(target)  # noqa: PTH120 - thousands of files
    if folder not in folders:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
        folders.add(folder)
    if info.isdir():
        return
    with suppress(FileNotFoundError):
        os.unlink(target)  # noqa: PTH108 - as above
    if info.issym():
        os.symlink(info.linkname, target)  # noqa: PTH211 - as above
    elif info.islnk():
        os.link(f"{root}/{dpkg.merged(info.linkname.removeprefix('./'))}", target)
    elif info.isreg():
        sink = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            deb.copy(info, tar, sink)
            os.fchmod(sink, info.mode & 0o777)
        finally:
            os.close(sink)


def unpack_lower(fragments: Sequence[str], root: Path) -> splitter.Owners:
    """Unpack the file system that the packages are installed onto; return whose everything is.

    Owners and special bits are left to the records: inside the build everything is its one user's.
    """
    view = unpack.unpack([Path(fragment) for fragment in fragments], root, writable=False)
    known = {**view.folders, **view.marked}
    return {path: deb.Attributes(entry.uid, entry.gid, entry.mode) for path, entry in known.items()}


def prepare(root: Path) -> None:
    """Create what dpkg expects to find, and what keeps it quiet and quick."""
    database = root / "var/lib/dpkg"
    for name in _STATE_DIRS:
        (database / name).mkdir(parents=True, exist_ok=True)
    for name in ("status", "available", "diversions"):
        if not (database / name).exists():
            (database / name).touch()
    slim = root / _SLIM_CONFIG
    slim.parent.mkdir(parents=True, exist_ok=True)
    excludes = [f"path-exclude /{pattern}" for pattern in deb.EXCLUDE]
    includes = [f"path-include /{pattern}" for pattern in deb.INCLUDE]
    slim.write_text("\n".join(["# What stays out of this image.", *excludes, *includes, ""]))
    policy = root / cleanup.POLICY
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    for name in ("dev", "proc", "sys", "run", "tmp", "root"):
        (root / name).mkdir(exist_ok=True)


def cache_fonts(root: Path, asked: Ownership) -> None:
    """Let fontconfig make its caches anew when all folders have the time that they have in images.

    It keeps each folder's time in the cache, and reads all fonts again at run time where that differs.
    """
    if (root / "usr/bin/fc-cache").exists():
        date_folders(root, cleanup.font_folders(root))
        _run(root, asked, {}, "/usr/bin/fc-cache", "--system-only", "--force")


def date_folders(root: Path, folders: Iterable[str]) -> None:
    """Give folders the time that they have in images."""
    for folder in folders:
        os.utime(root / folder, (archive.MTIME, archive.MTIME))


def run_dpkg(root: Path, asked: Ownership, binds: dict[str, Path], *arguments: str) -> None:
    """Run dpkg in ``root``; a failure ends the build with dpkg's own words above it.

    Args:
        root: the system's folder.
        asked: is told which owners and special bits dpkg and the maintainer scripts ask for.
        binds: folders and files of this side to show inside, by path inside.
        arguments: of dpkg.
    """
    options = ["--force-unsafe-io", "--force-confold", "--no-pager"]
    _run(root, asked, binds, "/usr/bin/dpkg", *options, *arguments)


def _run(root: Path, asked: Ownership, binds: dict[str, Path], *command: str) -> None:
    with namespace.one_processor():
        status = namespace.run(root, list(command), _ENVIRONMENT, binds, owners=asked)
    if status:
        raise CommandError(shlex.join(command)[:_SHOWN], status)


def install(
    packages: Sequence[Package], root: Path, asked: Ownership, expected: Sequence[postponed.Call] | None
) -> None:
    """Unpack and configure the packages.

    Args:
        packages: all of them, without compression.
        root: the system's folder.
        asked: is told which owners and special bits dpkg and the maintainer scripts ask for.
        expected: what they will want compiled, where the system is bootstrapped; None: it is not.
    """
    bootstrap = expected is not None
    folder = Path(packages[0]["path"]).parent
    binds = {_INSIDE: folder}
    names = [f"{_INSIDE}/{Path(package['path']).name}" for package in packages]
    place = (root, folder, _INSIDE, _ENVIRONMENT)
    with ExitStack() as stack:
        begun: list[postponed.Postponed] = []
        if bootstrap:
            begun.append(stack.enter_context(postponed.Compiler(*place, expected or ())))
        # What is not configured yet cannot be a satisfied Pre-Depends; debootstrap(8) does it so as well.
        run_dpkg(root, asked, binds, "--force-depends", "--unpack", *names)
        if bootstrap:
            run_dpkg(root, asked, binds, "--force-depends", "--configure", "base-passwd", "base-files")
            # On top of a system there may be packages that use the certificates when they are configured.
            begun.append(stack.enter_context(postponed.Certificates(*place)))
        else:
            begun.append(stack.enter_context(postponed.Compiler(*place)))
        shown = dict(chain.from_iterable(one.binds.items() for one in begun))
        run_dpkg(root, asked, shown, "--configure", "--pending")
    run_dpkg(root, asked, binds, "--audit")
    if unfinished := state.unfinished((root / dpkg.STATUS).read_bytes()):
        raise BuildError(f"dpkg left these packages half installed: {', '.join(unfinished)}")
    (root / _INSIDE.lstrip("/")).rmdir()


def _make_if_manual(info: tarfile.TarInfo, root: Path) -> None:
    """Make a folder of manual pages: these stay out, but alternatives put links there and fail without it."""
    if info.isdir() and info.name.startswith("usr/share/man/"):
        (root / info.name).mkdir(parents=True, exist_ok=True)


def owners(packages: Iterable[Package], root: Path) -> splitter.Owners:
    """Read owner and permissions of every packaged file from the packages themselves."""
    found: splitter.Owners = {}
    for package in packages:
        for info, _ in deb.data(Path(package["path"])):
            _make_if_manual(info, root)
            _note(info, found)
    return found


def _note(info: tarfile.TarInfo, found: splitter.Owners) -> None:
    if not info.issym():
        found.setdefault(dpkg.merged(info.name), deb.Attributes(info.uid, info.gid, info.mode & 0o7777))


def divide(packages: Sequence[Package], split: splitter.Splitter, changed: Sequence[str]) -> Fragments:
    """Return the files of each package, bytecode of its modules included."""
    root = split.root
    compiled = splitter.bytecode_by_source(path for path in changed if path.endswith(".pyc"))
    for caches in compiled.values():
        for path in caches:
            splitter.mark_unchecked(root / path)
    found: Fragments = []
    for package in packages:
        own = set(dpkg.package_files(root, package["name"]))
        own.update(path for source in list(own) for path in compiled.get(source, ()))
        own.update(str(Path(path).parent) for path in list(own) if path.endswith(".pyc"))
        found.append((package, entries.hard_linked(filter(None, map(split.entry, own)))))
    return found


def write(fragments: Fragments) -> None:
    """Write the packages' fragments, on all processors."""

    def some(chosen: list[int]) -> int:
        for package, own in (fragments[one] for one in chosen):
            archive.write_fragment(inputs.output(package["output"]), own, package["name"])
        return 0

    if not forks.shared(some, [len(own) for _, own in fragments]):
        raise BuildError("the packages' fragments cannot be written")


def main(spec: dict[str, Any]) -> None:
    """Build every output."""
    confinement.shelter()
    base = inputs.workspace(_EXPANSION * sum(Path(one["path"]).stat().st_size for one in spec["packages"]))
    root = base / "root"
    root.mkdir()
    packages, ready = decompress(spec["packages"], base / "debs")
    expected: list[postponed.Call] | None = None
    if spec["lower"]:
        attributes = unpack_lower(spec["lower"], root)
        attributes |= {path: own for path, own in owners(ready, root).items() if path not in attributes}
    else:
        attributes, paths = unpack_by_hand(ready, root)
        expected = postponed.library_calls(paths)
    before = snapshot.take(root) if spec["lower"] else {}
    asked = Ownership()
    prepare(root)
    install(packages, root, asked, expected)
    cache_fonts(root, asked)
    stable_files.rewrite(root)
    cleanup.clean_installation(root)
    cleanup.name_machine(root, (root / dpkg.STATUS).read_bytes())

    everything = dict(snapshot.walk(root))
    changed, gone = snapshot.differences(before, everything, asked)
    split = splitter.Splitter(root, attributes, asked)
    fragments = divide(packages, split, changed)
    write(fragments)
    claimed = {entry.path for _, own in fragments for entry in own}
    found = (split.entry(path) for path in changed if path not in claimed)
    rest = entries.hard_linked(filter(None, found))
    rest = entries.with_parents([*rest, *entries.whiteouts(gone)], split.entry)
    if apart := {package["name"] for package in packages if not package["always"]}:
        files = {
            package["name"]: {entry.path for entry in own if entry.kind != tarfile.DIRTYPE}
            for package, own in fragments
        }
        folders = [entry for entry in rest if entry.kind == tarfile.DIRTYPE]
        rest, beside = state.divide(root, rest, files, apart)
        archive.write_fragment(inputs.output("essential"), entries.below(folders, beside), "state")
        rest = entries.with_parents(rest, split.entry)
    archive.write_fragment(inputs.output(), rest, "state")
