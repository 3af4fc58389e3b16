"""Install Debian packages with the real dpkg, every maintainer script run, and split the result by package.

Spec::

    {"packages": [{"name": "bash", "output": "bash_5.2", "path": "/nix/store/…-bash_….deb", "core": true}, …],
     "lower": [store path of a fragment, …]}

Each package becomes a fragment in the output of its name: the files that dpkg says it owns. What belongs to
nobody (dpkg's database, users, alternatives, caches, links made by scripts) is the fragment in ``out``. With
an empty ``lower`` the system is bootstrapped first: the packages are unpacked by hand so that dpkg itself can
run, then dpkg installs them properly over that.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import archive
import deb
import inputs
import namespace
import state
from ownership import SPECIAL, Change, Ownership

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

_MERGED = ("bin", "sbin", "lib", "lib64")
_STATE_DIRS = ("updates", "info", "parts", "triggers", "alternatives")
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C",
    "TZ": "UTC",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "SOURCE_DATE_EPOCH": str(archive.MTIME),
}
_SLIM_CONFIG = "etc/dpkg/dpkg.cfg.d/docker"
_POLICY = "usr/sbin/policy-rc.d"
_VOLATILE = (
    "tmp",
    "var/tmp",
    "proc",
    "sys",
    "dev",
    "var/log/apt",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/cache/apt",
    "var/lib/apt/lists",
)
"""Folders whose contents are clocks, caches or mounts; the folders stay."""
_LOGS = ("var/log",)
"""Folders whose files are emptied: a service may want to find its log, with its owner."""
_VOLATILE_FILES = (
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "etc/.pwd.lock",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/available-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/statoverride-old",
    "var/lib/dpkg/arch-old",
    "var/lib/systemd/deb-systemd-helper-enabled",
    "var/log/alternatives.log",
    "var/log/dpkg.log",
    "var/log/fontconfig.log",
    _POLICY,
)
_PLAIN = 0o1777
"""Permissions that the build's user may really set."""


class Package(TypedDict):
    """One package of the spec."""

    name: str
    output: str
    path: str
    core: bool
    """Whether it is in every image."""


Owners = dict[str, deb.Attributes]
"""Owner and permissions of packaged files by path."""


def merged(path: str) -> str:
    """Return a path with the merged-/usr links followed (``bin/sh`` → ``usr/bin/sh``)."""
    head, _, rest = path.partition("/")
    return f"usr/{path}" if head in _MERGED and rest else path


def decompress(packages: Sequence[Package], folder: Path) -> list[Package]:
    """Return the same packages without compression, in ``folder``."""
    folder.mkdir()
    plain: list[Package] = [
        {**package, "path": str(folder / f"{package['name']}.deb")} for package in packages
    ]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(
            pool.map(
                lambda pair: deb.decompress(Path(pair[0]["path"]), Path(pair[1]["path"])),
                zip(packages, plain, strict=True),
            )
        )
    return plain


def workspace(packages: Sequence[Package]) -> Path:
    """Create the folder to install in: in memory when what is installed takes less than a quarter of that."""
    need = 4 * sum(Path(package["path"]).stat().st_size for package in packages)
    memory = Path("/dev/shm")  # noqa: S108 - the sandbox's own
    sandboxed = inputs.scratch() == Path("/build")
    roomy = sandboxed and memory.is_dir() and shutil.disk_usage(memory).free > need
    root = (memory if roomy else inputs.scratch()) / "root"
    root.mkdir()
    return root


def unpack_by_hand(packages: Sequence[Package], root: Path) -> Owners:
    """Put the packages' files in place without dpkg, so that dpkg and its helpers can run."""
    found: Owners = {}
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in packages:
        for info, tar in deb.data(Path(package["path"])):
            if info.name not in _MERGED and not deb.left_out(info.name):
                _place(info, tar, root)
                _note(info, found)
    for path, attributes in found.items():
        # dpkg leaves folders that exist as they are.
        if (root / path).is_dir():
            (root / path).chmod(attributes.mode & _PLAIN | stat.S_IRWXU)
    return found


def _place(info: tarfile.TarInfo, tar: tarfile.TarFile, root: Path) -> None:
    target = root / merged(info.name)
    if info.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.exists():
        target.unlink()
    if info.issym():
        target.symlink_to(info.linkname)
    elif info.islnk():
        target.hardlink_to(root / merged(info.linkname.removeprefix("./")))
    elif info.isreg():
        with target.open("wb") as sink:
            shutil.copyfileobj(deb.content(info, tar), sink, 1 << 18)
        target.chmod(info.mode & 0o777)


def unpack_lower(fragments: Sequence[str], root: Path) -> Owners:
    """Unpack the file system that the packages are installed onto; return whose everything is."""
    found: Owners = {}

    def ours(member: tarfile.TarInfo, _root: str) -> tarfile.TarInfo:
        """Leave owners and special bits to the records: inside the build everything is its one user's."""
        if member.isdir() or member.uid or member.gid or member.mode & SPECIAL:
            found[member.name] = deb.Attributes(member.uid, member.gid, member.mode)
        mode = member.mode & _PLAIN | (stat.S_IRWXU if member.isdir() else 0)
        return member.replace(uid=None, gid=None, uname=None, gname=None, mode=mode, deep=False)  # type: ignore[arg-type]

    for fragment in fragments:
        for name in ("directories.tar", "files.tar"):
            with (Path(fragment) / name).open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
                tar.extractall(root, filter=ours)  # noqa: S202 - archives that we wrote ourselves
    return found


def prepare(root: Path) -> None:
    """Create what dpkg expects to find, and what keeps it quiet and quick."""
    database = root / "var/lib/dpkg"
    for name in _STATE_DIRS:
        (database / name).mkdir(parents=True, exist_ok=True)
    for name in ("status", "available", "diversions", "statoverride"):
        if not (database / name).exists():
            (database / name).touch()
    slim = root / _SLIM_CONFIG
    slim.parent.mkdir(parents=True, exist_ok=True)
    excludes = [f"path-exclude /{pattern}" for pattern in deb.EXCLUDE]
    includes = [f"path-include /{pattern}" for pattern in deb.INCLUDE]
    slim.write_text("\n".join(["# What stays out of this image.", *excludes, *includes, ""]))
    policy = root / _POLICY
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    for name in ("dev", "proc", "sys", "run", "tmp", "root"):
        (root / name).mkdir(exist_ok=True)


def dpkg(root: Path, asked: Ownership, *arguments: str) -> None:
    """Run dpkg in ``root``; a failure ends the build with dpkg's own words above it.

    Args:
        root: the system's folder.
        asked: is told which owners and special bits dpkg and the maintainer scripts ask for.
        arguments: of dpkg.
    """
    options = ["--force-unsafe-io", "--force-confold", "--no-pager"]
    command = ["/usr/bin/dpkg", *options, *arguments]
    binds = {"/dev": Path("/dev"), "/cog-nix": inputs.scratch() / "debs"}
    status = namespace.run(root, command, _ENVIRONMENT, binds, asked)
    if status:
        sys.exit(f"cog-nix: dpkg {arguments[0]} ended with status {status}")


def install(packages: Sequence[Package], root: Path, asked: Ownership, *, bootstrap: bool) -> None:
    """Unpack and configure the packages."""
    names = [f"/cog-nix/{Path(package['path']).name}" for package in packages]
    # What is not configured yet cannot be a satisfied Pre-Depends; debootstrap(8) does it so as well.
    dpkg(root, asked, "--force-depends", "--unpack", *names)
    if bootstrap:
        dpkg(root, asked, "--force-depends", "--configure", "base-passwd", "base-files")
    dpkg(root, asked, "--configure", "--pending")
    dpkg(root, asked, "--audit")
    if unfinished := state.unfinished((root / state.STATUS).read_bytes()):
        sys.exit(f"cog-nix: dpkg left these packages half installed: {', '.join(unfinished)}")
    (root / "cog-nix").rmdir()


def clean(root: Path) -> None:
    """Remove what carries a clock, belongs to the build, or serves nobody in an image."""
    for name in _VOLATILE:
        folder = root / name
        if folder.is_dir():
            for child in folder.iterdir():
                shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    for name in _VOLATILE_FILES:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name in _LOGS:
        for path, info in list(_walk(root, name)):
            if stat.S_ISREG(info.st_mode) and info.st_size:
                os.truncate(root / path, 0)
    for relative, info in list(_walk(root)):
        if stat.S_ISREG(info.st_mode) and relative.startswith("run/"):
            (root / relative).unlink()
        elif not stat.S_ISDIR(info.st_mode) and deb.pruned(relative):
            (root / relative).unlink()


def snapshot(root: Path) -> dict[str, int]:
    """Return the inode change time of everything, by path."""
    return {path: info.st_ctime_ns for path, info in _walk(root)}


def _walk(root: Path, below: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Yield ``(path relative to root, lstat)`` of everything below a folder, parents first."""
    pending = [below] if (root / below).is_dir() else []
    while pending:
        folder = pending.pop()
        with os.scandir(root / folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = f"{folder}/{entry.name}".lstrip("/")
                yield path, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)


def owners(packages: Sequence[Package]) -> Owners:
    """Read owner and permissions of every packaged file from the packages themselves."""
    found: Owners = {}
    for package in packages:
        for info, _ in deb.data(Path(package["path"])):
            _note(info, found)
    return found


def _note(info: tarfile.TarInfo, found: Owners) -> None:
    if not info.issym():
        found.setdefault(merged(info.name), deb.Attributes(info.uid, info.gid, info.mode & 0o7777))


def package_files(root: Path, package: str) -> list[str]:
    """Return the paths that dpkg's database gives to a package."""
    info = root / "var/lib/dpkg/info"
    listing = info / f"{package}.list"
    if not listing.exists():
        listing = info / f"{package}:amd64.list"
    return [merged(line.lstrip("/")) for line in listing.read_text().splitlines() if line not in ("/.", "")]


def bytecode_by_source(paths: Iterable[str]) -> dict[str, list[str]]:
    """Group ``…/__pycache__/name.cpython-313.pyc`` by the source it was compiled from (PEP 3147)."""
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        cache, _, name = path.rpartition("/")
        folder, _, last = cache.rpartition("/")
        if last == "__pycache__":
            found.setdefault(f"{folder}/{name.partition('.')[0]}.py", []).append(path)
    return found


def mark_unchecked(path: Path) -> None:
    """Turn bytecode of the checked hash kind into unchecked (PEP 552).

    SOURCE_DATE_EPOCH, which maintainer scripts see, makes py_compile write the checked kind.
    """
    with path.open("r+b") as stream:
        stream.seek(4)
        if stream.read(4) == b"\x03\0\0\0":
            stream.seek(4)
            stream.write(b"\x01\0\0\0")


class Splitter:
    """Turns the installed tree into entries.

    Args:
        root: the tree.
        attributes: of files by path, as their packages have them.
        asked: what programs asked for since.
    """

    def __init__(self, root: Path, attributes: Owners, asked: Ownership | None = None) -> None:
        self.root = root
        self.attributes = attributes
        self.asked = asked or Ownership()
        self._links: dict[tuple[str, int], str] = {}

    def entry(self, path: str, group: str) -> archive.Entry | None:
        """Return the entry of a path, or None when the image has no such file."""
        source = self.root / path
        try:
            info = source.lstat()
        except FileNotFoundError:
            return None
        attributes = self._attributes(path, info)
        mode, uid, gid = attributes.mode, attributes.uid, attributes.gid
        if stat.S_ISDIR(info.st_mode):
            return archive.Entry(path, mode, tarfile.DIRTYPE, uid=uid, gid=gid)
        if stat.S_ISLNK(info.st_mode):
            target = str(source.readlink())
            return archive.Entry(path, 0o777, tarfile.SYMTYPE, target=target, uid=uid, gid=gid)
        if not stat.S_ISREG(info.st_mode):
            return None
        if info.st_nlink > 1:
            first = self._links.setdefault((group, info.st_ino), path)
            if first != path:
                return archive.Entry(path, mode, tarfile.LNKTYPE, target=first, uid=uid, gid=gid)
        if not info.st_mode & stat.S_IRUSR:
            source.chmod(0o600)  # to be read by the build's user
        return archive.Entry(path, mode, source=source, uid=uid, gid=gid)

    def _attributes(self, path: str, info: os.stat_result) -> deb.Attributes:
        """Return owner and mode: what was asked for last, else what the package has, else root's."""
        known = self.attributes.get(path, deb.Attributes(0, 0, 0))
        change = self.asked.of(self.root / path, info.st_ino)
        mode = info.st_mode & _PLAIN
        if stat.S_ISDIR(info.st_mode) and mode == known.mode & _PLAIN | stat.S_IRWXU:
            mode = known.mode & _PLAIN  # made writable for the build
        special = known.mode & SPECIAL if change.special is None else change.special
        uid = known.uid if change.uid is None else change.uid
        gid = known.gid if change.gid is None else change.gid
        return deb.Attributes(uid, gid, mode | special)


def main() -> None:
    """Build every output."""
    spec = inputs.read()
    packages = decompress(spec["packages"], inputs.scratch() / "debs")
    root = workspace(packages)
    if spec["lower"]:
        attributes = unpack_lower(spec["lower"], root)
        attributes |= {path: own for path, own in owners(packages).items() if path not in attributes}
    else:
        attributes = unpack_by_hand(packages, root)
    before = snapshot(root) if spec["lower"] else {}
    asked = Ownership()
    prepare(root)
    install(packages, root, asked, bootstrap=not spec["lower"])
    clean(root)

    everything = dict(_walk(root))
    changed = {
        path
        for path, info in everything.items()
        if before.get(path) != info.st_ctime_ns or asked.of(root / path, info.st_ino) != Change()
    }
    compiled = bytecode_by_source(path for path in changed if path.endswith(".pyc"))
    for caches in compiled.values():
        for path in caches:
            mark_unchecked(root / path)
    split = Splitter(root, attributes, asked)
    claimed: set[str] = set()
    files: dict[str, set[str]] = {}
    for package in packages:
        own = set(package_files(root, package["name"]))
        own.update(path for source in list(own) for path in compiled.get(source, ()))
        own.update(str(Path(path).parent) for path in list(own) if path.endswith(".pyc"))
        # In the order of archives: a hard link's target comes first.
        ordered = sorted(own, key=lambda path: path.split("/"))
        entries = [entry for path in ordered if (entry := split.entry(path, package["name"]))]
        archive.write_fragment(inputs.output(package["output"]), entries, package["name"])
        files[package["name"]] = {entry.path for entry in entries if entry.kind != tarfile.DIRTYPE}
        claimed.update(entry.path for entry in entries)
    rest = [
        entry
        for path in sorted(everything, key=lambda path: path.split("/"))
        if path in changed and path not in claimed and (entry := split.entry(path, "")) is not None
    ]
    rest += whiteouts(before.keys() - everything.keys())
    if apart := {package["name"] for package in packages if not package["core"]}:
        complete = _with_parents(rest, split)
        rest, beside = state.divide(root, complete, files, apart)
        folders = [entry for entry in complete if entry.kind == tarfile.DIRTYPE]
        archive.write_fragment(inputs.output("essential"), _below(folders, beside), "state")
    archive.write_fragment(inputs.output(), _with_parents(rest, split), "state")


def whiteouts(gone: AbstractSet[str]) -> list[archive.Entry]:
    """Return entries that hide files of lower layers, diverted or removed (OCI image-spec, "Whiteouts")."""
    tops = {path for path in gone if path.rpartition("/")[0] not in gone}
    return [
        archive.Entry(f"{folder}{slash}.wh.{name}", 0o644)
        for folder, slash, name in (path.rpartition("/") for path in tops)
    ]


def _below(folders: list[archive.Entry], entries: list[archive.Entry]) -> list[archive.Entry]:
    """Return the entries and those of the folders that they lie in."""
    return [
        *entries,
        *(folder for folder in folders if any(one.path.startswith(f"{folder.path}/") for one in entries)),
    ]


def _with_parents(entries: list[archive.Entry], split: Splitter) -> list[archive.Entry]:
    """Add the folders above the entries that are not among them, with their real attributes."""
    have = {entry.path for entry in entries}
    for entry in list(entries):
        parts = entry.path.split("/")
        for depth in range(1, len(parts)):
            path = "/".join(parts[:depth])
            if path not in have:
                have.add(path)
                if (parent := split.entry(path, "")) is not None:
                    entries.append(parent)
    return entries


if __name__ == "__main__":
    main()
