"""Install one wheel as a fragment, bytecode included.

Spec::

    {"wheel": store path, "filename": "numpy-….whl", "python": "3.13", "tree": store path of a Python 3.13,
     "headers": "include/site/python3.13", "origin": "https://…"}

``wheel`` may be a folder with the one that was built; ``origin`` is there for a direct reference (PEP 610).

Installed with PyPA's ``installer`` into ``/usr/local``, as ``pip`` would lay it out there. Large files are
inflated straight into the fragment (:mod:`members`). Besides the fragment the output has
``distribution.json``: name and version as the wheel's METADATA spells them.
"""

from __future__ import annotations

import email.parser
import hashlib
import io
import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import archive
import foreign
import inputs
import members
import python_tree
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.records import Hash, RecordEntry
from installer.sources import WheelFile
from installer.utils import make_file_executable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike

    from installer.utils import Scheme

_PREFIX = "/usr/local"
_TEST = re.compile(r".*/tests?/(?:.*/)?test_[^/]*\.py")
_EXPANSION = 3
"""How much more modules are with their bytecode, at most."""


class _Environment(SchemeDictionaryDestination):
    """Makes every script executable, as pip does: a wheel made without permission bits does not say so.

    Large members are not read: empty files of their size stand in for them. RECORD is written again where it
    has to wait for the hash of one.
    """

    large: members.Members | None = None
    _record: tuple[Scheme, str, list[tuple[Scheme, RecordEntry]]] | None = None

    @cached_property
    def _folders(self) -> set[str]:
        """Those that were made."""
        return set()

    def write_file(
        self,
        scheme: Scheme,
        path: str | PathLike[str],
        stream: BinaryIO,
        is_executable: bool,  # noqa: FBT001 - as the base class has it
    ) -> RecordEntry:
        """Write one file of the wheel."""
        info = self.large.find(stream) if self.large and scheme != "scripts" else None
        if self.large is None or info is None:
            return super().write_file(scheme, path, stream, is_executable or scheme == "scripts")
        empty = self.write_to_fs(scheme, os.fspath(path), io.BytesIO(), is_executable)
        hash_ = self.large.stand_in(self._place(scheme, os.fspath(path)), info)
        return RecordEntry(empty.path, Hash(self.hash_algorithm, hash_), info.file_size)

    def write_to_fs(
        self,
        scheme: Scheme,
        path: str,
        stream: BinaryIO,
        is_executable: bool,  # noqa: FBT001 - as the base class has it
    ) -> RecordEntry:
        """Write one file; the base class takes four times as long to find out where to."""
        target = self._place(scheme, path)
        if (folder := os.path.dirname(target)) not in self._folders:  # noqa: PTH120 - a tenth of the time
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
            self._folders.add(folder)
        data = stream.read()
        try:
            with open(target, "wb" if self.overwrite_existing else "xb", buffering=0) as file:  # noqa: PTH123
                file.write(data)
        except FileExistsError:
            raise FileExistsError(f"{path} already exists") from None
        if is_executable:
            make_file_executable(Path(target))
        digest = hashlib.new(self.hash_algorithm, data).digest()
        return RecordEntry(path, Hash(self.hash_algorithm, members.encoded(digest)), len(data))

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        """Write RECORD."""
        self._record = (scheme, record_file_path, list(records))
        super().finalize_installation(*self._record)

    @property
    def paths(self) -> frozenset[str]:
        """The large members, and RECORD where it waits for one's hash (:class:`archive.Late`)."""
        if self.large is None:
            return frozenset()
        return self.large.paths | ({self._record_path} if self.large.unknown else set())

    def write(self, tar: Path, places: Mapping[str, int]) -> None:
        """Write all of that."""
        if not places or self.large is None or self._record is None:
            return
        hashes = self.large.inflate(tar, places)
        if not hashes:
            return
        scheme, path, records = self._record
        self.overwrite_existing = True
        known = [(scheme, _with_hash(entry, hashes)) for scheme, entry in records]
        super().finalize_installation(scheme, path, known)
        with tar.open("r+b") as sink:
            sink.seek(places[self._record_path])
            sink.write(Path(self._record_path).read_bytes())

    @property
    def _record_path(self) -> str:
        assert self._record is not None  # noqa: S101 - for the type checker: it is installed
        return self._place(*self._record[:2])

    def _place(self, scheme: Scheme, path: str) -> str:
        """Return where a file goes on this side.

        Raises:
            ValueError: that is not below the scheme's folder.
        """
        folder = os.path.abspath(self.scheme_dict[scheme])  # noqa: PTH100 - as below
        absolute = os.path.abspath(f"{folder}/{path}")  # noqa: PTH100 - ".." is resolved
        if not absolute.startswith(f"{folder}/"):
            raise ValueError(f"Attempting to write {path} outside of the target directory")
        return f"{self.destdir}{absolute}"


def _with_hash(entry: RecordEntry, hashes: Mapping[str, str]) -> RecordEntry:
    if entry.hash_ is None or entry.hash_.value not in hashes:
        return entry
    return RecordEntry(entry.path, Hash(entry.hash_.name, hashes[entry.hash_.value]), entry.size)


def unpack(
    wheel: Path,
    python: str,
    root: Path,
    *,
    headers: str = "",
    origin: str = "",
    large: members.Members | None = None,
) -> tuple[dict[str, str], archive.Late]:
    """Install ``wheel`` under ``root``; return its name and version, and what is still to be written.

    Args:
        wheel: the file, named as wheels are.
        python: minor version.
        root: what stands for ``/``.
        headers: where under ``/usr/local`` C headers go; "": where pip puts them in a virtual environment.
        origin: what a direct reference points to, for ``direct_url.json``.
        large: its members that are to be written late; None: none are.
    """
    headers = headers or f"include/site/python{python}"
    site = f"{_PREFIX}/lib/python{python}/site-packages"
    with foreign.reading(wheel.name, "wheel", InstallerError), WheelFile.open(wheel) as source:
        destination = _Environment(
            {
                "purelib": site,
                "platlib": site,
                "headers": f"{_PREFIX}/{headers}/{source.distribution}",
                "scripts": f"{_PREFIX}/bin",
                "data": _PREFIX,
            },
            interpreter=f"{_PREFIX}/bin/python",
            script_kind="posix",
            destdir=str(root),
        )
        destination.large = large
        direct = {"direct_url.json": direct_url(origin)} if origin else {}
        install(source, destination, {"INSTALLER": b"cog-nix\n", **direct})
        metadata = email.parser.HeaderParser().parsestr(source.read_dist_info("METADATA"))
    found = {name.lower(): metadata[name] for name in ("Name", "Version")}
    if not all(found.values()):
        raise foreign.ForeignFileError(f"{wheel.name}: its METADATA has no Name or no Version")
    return ({**found, "origin": origin} if origin else found), destination


def direct_url(origin: str) -> bytes:
    """Return the contents of ``direct_url.json`` (PEP 610) for a reference as the lock has it."""
    url, _, fragment = origin.partition("#")
    known = dict(part.split("=", 1) for part in fragment.split("&") if part)
    described: dict[str, object]
    if url.startswith("git+"):
        repository, _, commit = url.removeprefix("git+").rpartition("@")
        described = {"url": repository, "vcs_info": {"vcs": "git", "commit_id": commit}}
    else:
        sha256 = known.get("sha256", "")
        described = {"url": url, "archive_info": {"hash": f"sha256={sha256}", "hashes": {"sha256": sha256}}}
    if "subdirectory" in known:
        described["subdirectory"] = known["subdirectory"]
    return json.dumps(described, sort_keys=True).encode()


def compiled_modules(name: str, paths: Iterable[str]) -> list[str]:
    """Return those modules of a distribution that get bytecode; Python compiles others at import.

    pip runs once in a container's life, if ever; its bytecode would be a twentieth of a small image. Nobody
    runs a package's own tests in a model, and they are half of SymPy's bytecode and two thirds of NumPy's.

    Args:
        name: of the distribution.
        paths: of all its modules.
    """
    return [] if name == "pip" else [path for path in paths if not _TEST.fullmatch(path)]


def main(spec: dict[str, Any]) -> None:
    """Build the output."""
    given = Path(spec["wheel"])
    built = next(given.glob("*.whl")) if given.is_dir() else given
    wheel = inputs.scratch() / (built.name if given.is_dir() else spec["filename"])
    wheel.symlink_to(built)
    with foreign.reading(wheel.name, "wheel"):
        large = members.Members(wheel)
    root = inputs.workspace(_EXPANSION * large.others) / "root"
    root.mkdir()
    distribution, late = unpack(
        wheel,
        spec["python"],
        root,
        headers=spec["headers"],
        origin=spec.get("origin", ""),
        large=large,
    )
    modules = (os.path.relpath(path, root) for path in root.rglob("*.py"))
    files = compiled_modules(distribution["name"], modules)
    python_tree.compile_all(Path(spec["tree"]), spec["python"], root, "/", files)
    with foreign.reading(wheel.name, "wheel", members.DAMAGED):  # its large members are inflated now
        archive.write_fragment(inputs.output(), archive.from_tree(root), distribution["name"], late)
    (inputs.output() / "distribution.json").write_text(json.dumps(distribution, sort_keys=True))
