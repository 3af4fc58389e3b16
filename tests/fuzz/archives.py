"""Archives that strangers packed, as cog-nix and its builders read them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import archive
import deb
import foreign
import git_index
import members
import portable
import python_tree
import sdist
import stable_files
import standalone
import toolkit
import wheel
from hypothesis import strategies as st

from cog_nix.archive.folder import FolderArchive
from cog_nix.archive.model import Header
from cog_nix.archive.tarball import FileArchive
from cog_nix.cli.explained import told, tree
from cog_nix.config.model import Settings
from cog_nix.elf.facts import Depth, read_facts
from cog_nix.elf.wheel import OnDisk
from cog_nix.errors import CogNixError
from cog_nix.explain.page import page
from cog_nix.explain.report import report
from cog_nix.fetch import commits
from cog_nix.fetch.store import Store
from cog_nix.image import archive_program
from cog_nix.lock.model import Artifact
from cog_nix.plugins.manager import load as load_plugins
from cog_nix.plugins.spec import Context
from cog_nix.report import SilentReporter
from cog_nix.resolve import duplicates
from cog_nix.store.objects import StoreObject
from cog_nix_hooks.debian import pins, programs, provided
from cog_nix_hooks.debian.database import DPKG
from cog_nix_hooks.nvidia.metadata import cuda_extras
from cog_nix_hooks.pypi import origins
from cog_nix_hooks.pypi.tree import read_tree
from tests.compare.samples import image
from tests.elf.made import make_elf
from tests.explain.samples import LABELS, LAYERS, SYSTEM, distribution
from tests.explain.samples import tar as layer_of
from tests.fuzz.mutations import contents, encoded, json_texts, texts
from tests.fuzz.parser import Parser, in_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hypothesis.strategies import DrawFn

_NAMES = (
    "a.py",
    "../up.py",
    "/etc/absolute.py",
    "a/../../b.py",
    "A.PY",
    "n" * 300,
    "d/" * 200 + "x",
    "nl\n.py",
    "\udce9.py",
    "a.py/b",
    "one-1.data/scripts/tool",
    "one-1.data/data/../../etc/x",
    "one-1.data/nothing/x",
    "usr/lib/x86_64-linux-gnu/libx.so.1",
    "usr/lib/python3.13/../../../../up.py",
    "usr/lib/python3.13/os.py",
    "usr/bin/python3.13",
    "setup.py",
    "PKG-INFO",
    ".",
    "",
)
_ELF = make_elf("libc.so.6", soname="libx.so.1", padding=64)
_METADATA = (
    "Metadata-Version: 2.1\nName: one\nVersion: 1\nRequires-Dist: nvidia-cublas-cu12 ; extra == 'cuda'\n"
)
_WHEEL = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "x"
[project]
name = "one"
dependencies = ["a"]
"""
_SETUP = """\
from setuptools import setup
N = "one"
setup(name=N, version="1", install_requires=["a"], setup_requires=[])
"""


def _zip(files: Mapping[str, bytes], *, encrypted: bool = False, lies: int = 0) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w") as archive:
        for number, (name, data) in enumerate(files.items()):
            info = zipfile.ZipInfo(name or "x")
            info.compress_type = zipfile.ZIP_STORED if number % 2 else zipfile.ZIP_DEFLATED
            info.external_attr = (0o120777 if name.endswith("link") else 0o755) << 16
            archive.writestr(info, data)
        for info in archive.filelist:
            info.flag_bits |= int(encrypted)
            info.file_size += lies
    return stream.getvalue()


_MADE = {
    "one/__init__.py": b"x = 1\n",
    "one/lib/libx.so.1": _ELF,
    "one-1.dist-info/METADATA": _METADATA.encode(),
    "one-1.dist-info/WHEEL": _WHEEL.encode(),
    "one-1.dist-info/entry_points.txt": b"[console_scripts]\ntool = one:main\n",
    "one-1.dist-info/RECORD": b"".join(
        f"{name},,\n".encode()
        for name in (
            "one/__init__.py",
            "one/lib/libx.so.1",
            *(f"one-1.dist-info/{name}" for name in ("METADATA", "WHEEL", "entry_points.txt", "RECORD")),
        )
    ),
}
_SMALL = st.binary(max_size=20)


@st.composite
def _wheels(draw: DrawFn) -> bytes:
    files = dict(_MADE)
    for name in draw(st.lists(st.sampled_from(_NAMES), max_size=3)):
        files[name] = draw(_SMALL)
        if draw(st.booleans()):
            files["one-1.dist-info/RECORD"] += f'"{name}",,\n'.encode("utf-8", "surrogateescape")
    if draw(st.booleans()):
        changed = draw(st.sampled_from(sorted(_MADE)))
        files[changed] = draw(contents(_MADE[changed]))
    if draw(st.booleans()):
        files.pop(draw(st.sampled_from(sorted(_MADE))))
    files = {name.encode("utf-8", "replace").decode(): data for name, data in files.items()}
    return _zip(
        files, encrypted=draw(st.integers(0, 9)) == 0, lies=draw(st.sampled_from([0, 0, 0, 1, 1 << 31]))
    )


_ANY_WHEEL = st.one_of(_wheels(), contents(_zip(_MADE)))


def _host_wheel(data: bytes, folder: Path) -> object:
    """Read a wheel in every way in which it is read outside of a sandbox."""
    path = folder / "one-1-py3-none-any.whl"
    path.write_bytes(data)
    outcome: list[object] = []
    for read in (
        lambda: read_facts(OnDisk(path), Depth.LINKS),
        lambda: [*duplicates._files("one", read_facts(OnDisk(path), Depth.FILES).large)],
        lambda: cuda_extras(read_facts(OnDisk(path), Depth.TEXT).requires),
    ):
        try:
            outcome.append(read())
        except CogNixError as error:
            outcome.append(str(error))
    return outcome


def _installed_wheel(data: bytes, folder: Path) -> object:
    """Install a wheel as the builder does, and see that nothing lands elsewhere."""
    path = folder / "one-1-py3-none-any.whl"
    path.write_bytes(data)
    root = folder / "inner/root"
    root.mkdir(parents=True)
    try:
        with foreign.reading(path.name, "wheel", members.DAMAGED):
            large = members.Members(path)
            found, late = wheel.unpack(path, "3.13", root, large=large)
            archive.write_fragment(folder / "inner/out", archive.from_tree(root), "one", late)
        return found
    finally:
        assert {one.name for one in folder.iterdir()} == {path.name, "inner"}
        assert {one.name for one in (folder / "inner").iterdir()} <= {"root", "out"}


def _toolkit_wheel(data: bytes, folder: Path) -> object:
    path = folder / "a.whl"
    path.write_bytes(data)
    return [*toolkit.from_wheel(path, folder / "scratch"), *toolkit.links(path, "/site")]


@st.composite
def _tars(draw: DrawFn) -> bytes:
    """Draw a tar with links, devices and names that lead elsewhere."""
    stream = io.BytesIO()
    kinds = st.sampled_from(
        [
            tarfile.REGTYPE,
            tarfile.REGTYPE,
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.DIRTYPE,
            tarfile.CHRTYPE,
            tarfile.FIFOTYPE,
            b"S",
        ]
    )
    targets = st.sampled_from([*_NAMES, "/etc/passwd", "a.py", "..", "../" * 9 + "etc"])
    with tarfile.open(fileobj=stream, mode="w", errors="surrogateescape") as tar:
        for name, text in {
            "one-1/pyproject.toml": draw(texts(_PYPROJECT)),
            "one-1/setup.py": draw(texts(_SETUP)),
            "one-1/PKG-INFO": draw(texts(_METADATA)),
            "one-1/setup.cfg": draw(texts("[metadata]\nname = a\n[options]\ninstall_requires = b\n")),
            "one-1/a.egg-info/requires.txt": draw(texts("a\n[x:y]\nb\n")),
        }.items():
            if draw(st.booleans()):
                content = text.encode("utf-8", "surrogatepass")
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        for name in draw(st.lists(st.sampled_from(_NAMES), max_size=4)):
            info = tarfile.TarInfo(draw(st.sampled_from(["", "one-1/", "python/", "./"])) + name)
            info.type, info.linkname = draw(kinds), draw(targets)
            info.mode = draw(st.sampled_from([0o644, 0o7777, 0]))
            content = draw(_SMALL) if info.type == tarfile.REGTYPE else b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    data = stream.getvalue()
    return gzip.compress(data, mtime=0) if draw(st.booleans()) else data


_ANY_SDIST = st.one_of(
    _tars(),
    _tars().flatmap(contents),
    contents(_zip({"one-1/pyproject.toml": _PYPROJECT.encode(), "one-1/setup.py": _SETUP.encode()})),
)


def _tree(data: bytes, folder: Path) -> object:
    path = folder / "a.tar.gz"
    path.write_bytes(data)
    found = read_tree(path, "", "a.tar.gz")
    return (
        found.name,
        found.version,
        found.backend,
        found.requires,
        found.dependencies,
        found.setup_requires,
        found.imports,
    )


def _kept_inside(folder: Path, allowed: set[str]) -> None:
    assert {one.name for one in folder.iterdir()} <= allowed


def _unpacked_source(data: bytes, folder: Path) -> object:
    path = folder / "a.tar.gz"
    path.write_bytes(data)
    (folder / "inner").mkdir()
    try:
        sdist.unpack_source(path, folder / "inner/target")
    finally:
        _kept_inside(folder, {"a.tar.gz", "inner"})
    return None


def _standalone(data: bytes, folder: Path) -> object:
    path = folder / "a.tar.gz"
    path.write_bytes(data)
    try:
        standalone.unpack(path, folder / "inner")
    finally:
        _kept_inside(folder, {"a.tar.gz", "inner"})
    return None


def _ar(member: bytes, name: bytes = b"data.tar") -> bytes:
    parts = [(b"debian-binary", b"2.0\n"), (b"control.tar", _CONTROL), (name, member)]
    return b"!<arch>\n" + b"".join(
        b"%-16s%-12d%-6d%-6d%-8d%-10d`\n" % (one, 0, 0, 0, 644, len(data)) + data + b"\n" * (len(data) % 2)
        for one, data in parts
    )


def _control() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in (("./md5sums", b"00  usr/lib/libx.so.1\n"), ("./shlibs", b"libx 1 libx1 (>= 1)\n")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


_CONTROL = _control()
_SUFFIXES = st.sampled_from([b"data.tar", b"data.tar.gz", b"data.tar.xz", b"data.tar.zst"])
_DEBS = st.one_of(st.builds(_ar, _tars(), _SUFFIXES), st.builds(_ar, _tars()).flatmap(contents))


def _unpacked_deb(data: bytes, folder: Path) -> object:
    """Unpack a package as is done outside of a sandbox, and see that nothing lands elsewhere."""
    path = folder / "a.deb"
    path.write_bytes(data)
    (folder / "inner/programs").mkdir(parents=True)
    (folder / "inner/lib").mkdir()
    try:
        with foreign.reading(path.name):
            found = [deb.content(info, tar).read() for info, tar in deb.data(path) if info.isreg()]
        portable._unpack(path, {"usr/bin/python3.13"}, folder / "inner")
        python_tree.unpack([path], folder / "inner/tree")
        deb.decompress(path, folder / "inner/b.deb")
    finally:
        _kept_inside(folder, {"a.deb", "inner"})
        _kept_inside(folder / "inner", {"programs", "lib", "tree", "b.deb"})
    return found


def _libraries(data: bytes, folder: Path) -> object:
    path = folder / "a.deb"
    path.write_bytes(data)
    return provided._from_file(path)


@st.composite
def _image_archives(draw: DrawFn) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in (
            (
                "manifest.json",
                draw(texts('[{"Config": "c.json", "RepoTags": ["a:b"], "Layers": ["l.tar", "m.tar"]}]')),
            ),
            ("c.json", draw(texts('{"rootfs": {"diff_ids": ["sha256:a", "sha256:b"]}, "config": {}}'))),
            ("l.tar", "x"),
        ):
            data = text.encode("utf-8", "surrogatepass")
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name in ("m.tar", "l.tar"):
            info = tarfile.TarInfo(name)
            info.type = draw(
                st.sampled_from([tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
            )
            info.linkname = draw(st.sampled_from(["l.tar", "m.tar", "../m.tar", "/etc/passwd", ""]))
            if draw(st.booleans()):
                tar.addfile(info)
    return stream.getvalue()


def _image_archive(data: bytes, folder: Path) -> object:
    path = folder / "image.tar"
    path.write_bytes(data)
    with archive_program.opened(path) as opened:
        described = opened.described()
        archive_program.write(opened, io.BytesIO(), [], frozenset())
    return described


_ENTRY = bytes(60) + b"\0\1a" + bytes(9)
_INDEX = b"DIRC" + struct.pack(">LL", 2, 1) + _ENTRY + bytes(20)
_CERTIFICATE = (
    struct.pack(">IH", 2, 1) + b"a" + bytes(8) + struct.pack(">H", 1) + b"x" + struct.pack(">I", 1) + b"c"
)
_KEYSTORE = struct.pack(">III", 0xFEEDFEED, 2, 1) + _CERTIFICATE


def _keystore(body: bytes, _: Path) -> object:
    return (
        stable_files.java_keystore(body + stable_files._java_digest(body)),
        stable_files.file_list(body),
        stable_files.font_maps(body),
    )


_KEPT = {"archive.json": Header({"nix": "{}"}).dump()} | {
    f"sha256/{sha256[:2]}/{sha256}": data
    for data in (b"one", b"other" * 300)
    for sha256 in [hashlib.sha256(data).hexdigest()]
}

_OBJECT = StoreObject("a" * 32 + "-b", "0" * 64, 120, ("a" * 32 + "-b",), ("key:x",), "")
_PACKAGES = Header(flakes={"github:a/b": "rev=c&lastModified=1"}, objects={_OBJECT.name: _OBJECT})


def _plain_tar(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as made:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def _kept_in_a_file(path: Path) -> object:
    found = FileArchive(path, SilentReporter())
    wanted = [Artifact("x", "", name.rpartition("/")[2], 3) for name in _KEPT if "/" in name]
    return found.supply(wanted, Store(path.parent / "store")), found.damaged(wanted)


def _commit(data: bytes, folder: Path) -> object:
    (folder / "packed").write_bytes(data)
    sink = io.BytesIO()
    commits.rewrite("https://host.example.org/x", folder / "packed", folder / "unpacked", sink, 1000)
    return sink


_PIN = {
    "package": "nix-bin",
    "version": "2",
    "archive": "main",
    "path": "pool/n.deb",
    "sha256": "a" * 64,
    "size": 3,
}
_RECORD = {"date": "2026-01-01T00:00:00Z", "programs": {"nix": [_PIN], "container": []}}


def _recalled(text: str, folder: Path) -> object:
    fetcher: Any = None
    context = Context(Settings(), fetcher, SilentReporter(), folder)
    if programs.recall("nix", text, context, trusted=True):
        found = pins.current(folder)
        return found and found.digest("nix")
    return None


_PAGE = (
    b'<!doctype html><a href="../a.whl#sha256=' + b"a" * 64 + b'" data-x="1">a.whl</a><br/><A HREF=b>b</A>'
)
_FILES = {"files": [{"filename": "a.whl", "url": "a.whl", "hashes": {"sha256": "a" * 64}}]}
_PLUGINS = load_plugins()
_BUILDERS = (foreign.ForeignFileError,)


def _explained(data: bytes, _: Path) -> object:
    """Explain an image whose topmost layer is from a stranger, in every way in which that is told."""
    found = report(image(*LAYERS[:3], data, Labels=LABELS), SilentReporter(), _PLUGINS)
    lines = [*told(found, None), *tree(found, None), json.dumps(found.plain(), ensure_ascii=False)]
    assert all("\x1b" not in line for line in lines)
    return [page(found, DPKG), "\n".join(lines).encode()]


_DATABASES = {
    **SYSTEM,
    **distribution("one", "1", "numpy", one__a_py=b""),
    "src/requirements.txt": b"torch_vision==2.0\n",
}


@st.composite
def _layers(draw: DrawFn) -> bytes:
    files = dict(_DATABASES)
    changed = draw(st.sampled_from(sorted(files)))
    files[changed] = draw(contents(files[changed]))
    for name in draw(st.lists(st.sampled_from(_NAMES), max_size=3)):
        if name:
            files[name] = draw(_SMALL)
    return layer_of(files)


ARCHIVES = (
    Parser(
        "layers of an image that is explained",
        ("cog_nix/explain", "hooks/cog_nix_hooks/debian/database"),
        st.one_of(_layers(), _layers().flatmap(contents)),
        _explained,
    ),
    Parser(
        "Git's index",
        ("nix/builders/git_index",),
        contents(_INDEX),
        lambda data, _: git_index.without_times(data),
    ),
    Parser("files of packages", ("nix/builders/stable_files",), contents(_KEYSTORE), _keystore),
    Parser(
        "wheel while locking",
        (
            "cog_nix/elf",
            "cog_nix/resolve/duplicates",
            "cog_nix/elf/wheelfile",
            "hooks/cog_nix_hooks/nvidia/metadata",
        ),
        _ANY_WHEEL,
        _host_wheel,
    ),
    Parser(
        "wheel to install",
        ("nix/builders/wheel", "nix/builders/members"),
        _ANY_WHEEL,
        _installed_wheel,
        _BUILDERS,
    ),
    Parser("wheel of the toolkit", ("nix/builders/toolkit",), _ANY_WHEEL, _toolkit_wheel, _BUILDERS),
    Parser("sdist while locking", ("hooks/cog_nix_hooks/pypi/tree",), _ANY_SDIST, _tree),
    Parser("sdist to build", ("nix/builders/sdist",), _ANY_SDIST, _unpacked_source, _BUILDERS),
    Parser("relocatable Python", ("nix/builders/standalone",), _ANY_SDIST, _standalone, _BUILDERS),
    Parser(
        ".deb to unpack",
        ("nix/builders/deb", "nix/builders/portable", "nix/builders/python_tree"),
        _DEBS,
        _unpacked_deb,
        _BUILDERS,
    ),
    Parser(".deb while locking", ("hooks/cog_nix_hooks/debian/provided",), _DEBS, _libraries),
    Parser(
        "archive in a file",
        ("cog_nix/archive",),
        contents(_plain_tar(_KEPT)),
        in_file("inputs.tar", _kept_in_a_file),
    ),
    Parser(
        "header of an archive",
        ("cog_nix/archive",),
        json_texts({"format": 1, "programs": {"nix": "record"}}, json.loads(_PACKAGES.dump())),
        in_file("archive.json", lambda path: FolderArchive(path.parent, SilentReporter())),
    ),
    Parser("record of programs", ("hooks/cog_nix_hooks/debian/programs",), json_texts(_RECORD), _recalled),
    Parser(
        "page of an index",
        ("hooks/cog_nix_hooks/pypi/origins",),
        st.one_of(contents(_PAGE), json_texts(_FILES).map(encoded)),
        lambda data, _: list(origins._files(data)),
    ),
    Parser(
        "commit's files as a server has them",
        ("cog_nix/fetch",),
        st.one_of(
            contents(gzip.compress(_plain_tar({"x/a": b"a"}))),
            contents(_plain_tar({"x/a/b": b"a", "x/c": b"c" * 600})).map(gzip.compress),
        ),
        _commit,
    ),
    Parser(
        "image archive",
        ("cog_nix/image/archive_program",),
        st.one_of(_image_archives(), _image_archives().flatmap(contents)),
        _image_archive,
    ),
)
