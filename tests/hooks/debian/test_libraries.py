"""Which packages bring the libraries that an image lacks, asked of a tiny archive with a Contents index."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import GpuSettings
from cog_nix.errors import FetchError, LockError
from cog_nix.lock.model import Artifact, Deb
from cog_nix.lock.seals import fits
from cog_nix.plugins.spec import FoundLibrary, LibraryNeed, LibraryRequest, LibraryResolution
from cog_nix_hooks import debian
from cog_nix_hooks.debian import provided
from cog_nix_hooks.debian.companions import is_from_host, is_optional
from cog_nix_hooks.debian.contents import open_contents

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cog_nix.plugins.spec import Context

_LIB = "usr/lib/x86_64-linux-gnu"
_CONTENTS = f"""\
bin/sh                                  shells/dash
{_LIB}/libGL.so                         libdevel/libgl-dev
{_LIB}/libGL.so.1                       libs/libgl1
{_LIB}/libGL.so.1.7.0                   libs/libgl1
{_LIB}/private/libsecret.so.1           libs/private-thing
usr/x86_64-linux-musl/lib/libcross.so.1 libs/cross
lib/x86_64-linux-gnu/libold.so.1        oldlibs/libold1
{_LIB}/blas/libblas.so.3                libs/libblas3
{_LIB}/libtwo.so.2                      libs/libtwo-extra2,libs/libtwo2,libs/aaa-plugins
{_LIB}/libforbidden.so.1                libs/libforbidden1,libs/libforbidden-alternative
{_LIB}/libgone.so.1                     libs/libgone1
{_LIB}/libhidden.so.4                   libs/present
{_LIB}/libmagic.so.1                    libs/libmagic1t64
{_LIB}/libpq.so.5                       libs/libpq5
"""
_STANZAS = """
Package: libgl1

Package: libold1

Package: libblas3

Package: libtwo2
Depends: libgl1, libold1

Package: libtwo-extra2

Package: aaa-plugins

Package: libforbidden1
Conflicts: present

Package: libforbidden-alternative

Package: libmagic1t64

Package: libpq5

Package: present
"""


@pytest.fixture
def context(archive: Any, context_for: Callable[..., Context]) -> Context:
    """Return the context of a hook whose mirror has the tiny archive."""
    archive.add_all(_STANZAS, contents=_CONTENTS)
    return context_for(archive.url)


def _need(soname: str, owner: str = "wheel", path: str = "wheel/_c.so") -> LibraryNeed:
    return LibraryNeed(owner, path, soname)


def _find(
    context: Context,
    *needs: LibraryNeed,
    distributions: tuple[str, ...] = (),
    built: tuple[str, ...] = (),
    present: tuple[Deb, ...] = (),
    gpu: bool = False,
) -> LibraryResolution:
    request = LibraryRequest("trixie", needs, distributions, built, present, gpu=gpu)
    found = debian.find_libraries(request, context)
    assert found is not None
    return found


def _packages(found: LibraryResolution) -> dict[str, str]:
    return {each.need.soname: each.package for each in found.found}


def _make_deb(path: Path, control: dict[str, str]) -> Deb:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        for name, text in {"control": f"Package: {path.stem}\n", **control}.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w:xz").close()
    data = b"!<arch>\n"
    for name, body in {
        "debian-binary": b"2.0\n",
        "control.tar.xz": packed.getvalue(),
        "data.tar.xz": empty.getvalue(),
    }.items():
        data += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode()
        data += body + (b"\n" if len(body) % 2 else b"")
    path.write_bytes(data)
    artifact = Artifact(path.name, path.as_uri(), hashlib.sha256(data).hexdigest(), len(data))
    return Deb(path.stem, "1", "amd64", artifact)


@pytest.mark.parametrize("size", [100, 90_000], ids=["small", "large"])
def test_the_front_of_a_package_says_what_the_whole_says(tmp_path: Path, size: int) -> None:
    chance = random.Random(1)  # noqa: S311 - the same each time
    md5sums = "".join(f"{chance.randbytes(16).hex()}  {_LIB}/libx{n}.so.1\n" for n in range(size // 50))
    _make_deb(tmp_path / "x", {"shlibs": "liby 2 y\n", "md5sums": md5sums})
    content = (tmp_path / "x").read_bytes()
    asked: list[int] = []

    def part(start: int, size: int) -> bytes:
        asked.append(size)
        return content[start : start + size]

    found = provided._read(part)
    assert found == provided._from_file(tmp_path / "x")
    assert len(found.names) == size // 50 + 2
    assert len(asked) == (1 if size == 100 else 2)
    assert fits(tmp_path / "x", found.seal)
    assert not fits(tmp_path / "x", found.seal.replace("front-", "front-1"))


@pytest.mark.parametrize(
    ("soname", "package"),
    [
        ("libGL.so.1", "libgl1"),
        ("libold.so.1", "libold1"),
        ("libblas.so.3", "libblas3"),
        ("libtwo.so.2", "libtwo2"),
    ],
    ids=["a-folder-of-the-loader", "before-merged-usr", "an-alternative", "the-one-named-after-it"],
)
def test_a_library_is_found(context: Context, soname: str, package: str) -> None:
    need = _need(soname)
    assert _find(context, need) == LibraryResolution((FoundLibrary(package, need),), ())


@pytest.mark.parametrize(
    "soname",
    ["libGL.so", "libsecret.so.1", "libcross.so.1", "libgone.so.1", "libmadeup.so.3"],
    ids=["development", "private-folder", "cross", "not-in-the-suite", "unheard-of"],
)
def test_what_the_loader_would_not_find_is_missing(context: Context, soname: str) -> None:
    assert _find(context, _need(soname)) == LibraryResolution((), (_need(soname),))


def test_a_package_that_conflicts_with_the_image_is_not_taken(context: Context, tmp_path: Path) -> None:
    present = _make_deb(tmp_path / "present", {})
    assert _packages(_find(context, _need("libforbidden.so.1"))) == {"libforbidden.so.1": "libforbidden1"}
    found = _find(context, _need("libforbidden.so.1"), present=(present,))
    assert _packages(found) == {"libforbidden.so.1": "libforbidden-alternative"}


def test_what_the_image_has_is_not_looked_up(context: Context, tmp_path: Path) -> None:
    (tmp_path / "mirror/debian/dists/trixie/main/Contents-amd64.gz").unlink()
    shlibs = "libc 6 libc6 (>= 2.41)\nudeb: libc 6 libc6-udeb\nlibdb 5.3 libdb5.3\n"
    md5sums = f"0123456789abcdef0123456789abcdef  {_LIB}/libmvec.so.1\n"
    present = _make_deb(tmp_path / "present", {"shlibs": shlibs, "md5sums": md5sums})
    needs = [_need(name) for name in ("libc.so.6", "libdb-5.3.so", "libmvec.so.1")]
    found = _find(context, *needs, present=(present,))
    assert (found.found, found.missing) == ((), ())
    assert [package for package, _ in found.seals] == ["present"]
    assert fits(tmp_path / "present", found.seals[0][1])


def test_a_library_that_only_the_index_knows_of_counts_as_there(context: Context, tmp_path: Path) -> None:
    present = _make_deb(tmp_path / "present", {})
    found = _find(context, _need("libhidden.so.4"), present=(present,))
    assert (found.found, found.missing) == ((), ())


@pytest.mark.parametrize(
    ("owner", "path"),
    [
        ("pyqt5-qt5", "PyQt5/Qt5/plugins/sqldrivers/libqsqlpsql.so"),
        ("pyside6-essentials", "PySide6/Qt/plugins/platformthemes/libqgtk3.so"),
        ("pyside6-essentials", "PySide6/Qt/qml/QtQuick/Pdf/libpdfquickplugin.so"),
        ("numba", "numba/np/ufunc/tbbpool.cpython-313-x86_64-linux-gnu.so"),
        ("onnxruntime-gpu", "onnxruntime/capi/libonnxruntime_providers_tensorrt.so"),
        ("torchaudio", "torio/lib/libtorio_ffmpeg4.so"),
        ("torchaudio", "torchaudio/lib/_torchaudio_ffmpeg.so"),
        ("torchaudio", "torchaudio/lib/libtorchaudio_ffmpeg4.so"),
        ("bitsandbytes", "bitsandbytes/libbitsandbytes_rocm64.so"),
    ],
)
def test_optional_files_count_for_nothing(context: Context, owner: str, path: str) -> None:
    assert _find(context, LibraryNeed(owner, path, "libGL.so.1")) == LibraryResolution((), ())


@pytest.mark.parametrize(
    ("owner", "path"),
    [
        ("pyqt5-qt5", "PyQt5/Qt5/plugins/platforms/libqxcb.so"),
        ("pyqt5-qt5", "PyQt5/Qt5/lib/libQt5Gui.so.5"),
        ("mine", "mine/plugins/fast.so"),
        ("bitsandbytes", "bitsandbytes/libbitsandbytes_cuda124.so"),
        ("onnxruntime-gpu", "onnxruntime/capi/libonnxruntime_providers_cuda.so"),
        ("torchaudio", "torchaudio/lib/libtorchaudio.so"),
    ],
)
def test_others_count(owner: str, path: str) -> None:
    assert not is_optional(owner, path)


@pytest.mark.parametrize(
    ("soname", "host"),
    [
        ("libcuda.so.1", True),
        ("libnvidia-ml.so.1", True),
        ("libcudart.so.12", False),
        ("libnvrtc.so.12", False),
    ],
)
def test_the_driver_comes_from_the_host(context: Context, soname: str, *, host: bool) -> None:
    assert is_from_host(soname) == host
    assert bool(_find(context, _need(soname)).missing) == (not host)


def test_what_python_packages_load_and_start_is_known(context: Context) -> None:
    found = _find(context, distributions=("graphviz", "numpy", "python-magic", "pyzbar"))
    assert found == LibraryResolution(
        (
            FoundLibrary("libmagic1t64", LibraryNeed("python-magic", "", "libmagic.so.1")),
            FoundLibrary("graphviz", LibraryNeed("graphviz", "", "dot")),
        ),
        (),
    )


def test_what_is_built_from_source_is_known_by_name(context: Context) -> None:
    assert _find(context, distributions=("psycopg2",)) == LibraryResolution((), ())
    found = _find(context, distributions=("psycopg2", "numpy"), built=("psycopg2", "numpy"))
    assert _packages(found) == {"libpq.so.5": "libpq5"}


def test_a_mirror_without_the_index_is_told(archive: Any, context_for: Callable[..., Context]) -> None:
    archive.add_all(_STANZAS)
    context = context_for(archive.url)
    assert _find(context, _need("libGL.so.1")) == LibraryResolution((), ())
    assert "no Contents index of trixie" in context.reporter.warnings[0]  # type: ignore[attr-defined]


def test_a_suite_of_another_distribution_is_left_to_others(context: Context) -> None:
    assert debian.find_libraries(LibraryRequest("noble", (), (), (), ()), context) is None


def test_a_broken_package_is_named(context: Context, tmp_path: Path) -> None:
    present = _make_deb(tmp_path / "present", {})
    broken = tmp_path / "broken"
    broken.write_bytes(b"!<arch>\nnothing that could be read")
    artifact = Artifact("broken.deb", broken.as_uri(), hashlib.sha256(broken.read_bytes()).hexdigest(), 34)
    with pytest.raises(LockError, match="this package cannot be read"):
        _find(context, present=(present, Deb("broken", "1", "amd64", artifact)))


def test_a_broken_index_is_told(tmp_path: Path) -> None:
    index = tmp_path / "Contents-amd64.gz"
    index.write_bytes(b"\x1f\x8b\x08 cut")
    with pytest.raises(LockError, match="Contents index cannot be read"):
        open_contents(index, sha256="0" * 64, cache_dir=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.fixture
def stale(archive: Any, context_for: Callable[..., Context]) -> Context:
    """Return the context of a hook whose mirror has another Contents index than its Release file names."""
    md5sums = f"0123456789abcdef0123456789abcdef  {_LIB}/libGL.so.1\n"
    pool = archive.root / "debian/pool"
    pool.mkdir(parents=True)
    files = (("libgl1", md5sums), ("libold1", ""))
    honest, other = (_make_deb(pool / name, {"md5sums": text}) for name, text in files)
    stanzas = "\n\n".join(
        f"Package: {deb.package}\nFilename: pool/{deb.package}\nSize: {deb.artifact.size}\n"
        f"SHA256: {deb.artifact.sha256}"
        for deb in (honest, other)
    )
    archive.add_all(stanzas, contents="")
    index = archive.root / "debian/dists/trixie/main/Contents-amd64.gz"
    index.write_bytes(gzip.compress(_CONTENTS.encode()))
    return context_for(archive.url)


def test_an_index_that_nobody_signed_is_a_hint_that_packages_confirm(stale: Context) -> None:
    needs = _need("libGL.so.1"), _need("libold.so.1")
    assert _find(stale, *needs) == LibraryResolution((FoundLibrary("libgl1", needs[0]),), (needs[1],))
    [warning] = stale.reporter.warnings  # type: ignore[attr-defined]
    assert "not the one that its Release file names" in warning
    assert "libGL.so.1, libold.so.1" in warning


@pytest.mark.parametrize("broken", [b"\x1f\x8b\x08 cut", None], ids=["no-index", "no-answer"])
def test_an_index_that_cannot_be_had_costs_its_answers_alone(
    stale: Context, archive: Any, monkeypatch: pytest.MonkeyPatch, broken: bytes | None
) -> None:
    index = archive.root / "debian/dists/trixie/main/Contents-amd64.gz"
    if broken:
        index.write_bytes(broken)
    else:
        real = stale.fetcher.text

        def text(url: str, *, max_age: float = 0) -> bytes:
            if url.endswith("Contents-amd64.gz"):
                raise FetchError("the server has gone")
            return real(url, max_age=max_age)

        monkeypatch.setattr(stale.fetcher, "text", text)
    assert _find(stale, _need("libGL.so.1"), _need("libold.so.1")) == LibraryResolution((), ())
    [warning] = stale.reporter.warnings  # type: ignore[attr-defined]
    assert "The Contents index of trixie cannot be had" in warning
    assert "Not looked up: libGL.so.1, libold.so.1." in warning


def test_an_index_is_read_once(context: Context, tmp_path: Path) -> None:
    _find(context, _need("libGL.so.1"))
    tables = list((tmp_path / "cache/debian").glob("contents-*.sqlite"))
    assert len(tables) == 1
    changed = tables[0].stat().st_mtime_ns
    _find(context, _need("libold.so.1"))
    assert tables[0].stat().st_mtime_ns == changed


def test_renamed_packages_are_told(context: Context) -> None:
    from cog_nix.plugins.spec import SystemRequest  # noqa: PLC0415

    found = debian.resolve_system_packages(
        SystemRequest("trixie", (("system", ("libgl1-mesa-glx", "libold1")),)), context
    )
    assert found is not None
    assert dict(found.renamed) == {"libgl1-mesa-glx": "libgl1"}


@pytest.mark.parametrize(
    ("name", "interpreter", "switches", "expected"),
    [
        ("triton", "python3.13", (True, True), {"gcc": "gcc", "g++": "g++", "Python.h": "libpython3.13-dev"}),
        ("triton", "media-types", (True, True), {"gcc": "gcc", "g++": "g++"}),
        ("triton", "python3.13", (False, True), {}),
        ("triton", "python3.13", (True, False), {}),
        ("torch", "python3.13", (True, True), {}),
    ],
    ids=["debians-python", "another-python", "no-gpu", "switched-off", "no-triton"],
)
def test_a_compiler_comes_with_what_compiles_on_a_gpu(
    context: Context, name: str, interpreter: str, switches: tuple[bool, bool], expected: dict[str, str]
) -> None:
    gpu, compiler = switches
    settings = replace(context.settings, gpu=GpuSettings(compiler=compiler))
    present = replace(_make_deb(context.cache_dir.parent / "present", {}), package=interpreter)
    found = _find(replace(context, settings=settings), distributions=(name,), present=(present,), gpu=gpu)
    assert _packages(found) == expected


def test_a_compiler_that_is_there_is_not_asked_for(context: Context, tmp_path: Path) -> None:
    gcc = _make_deb(tmp_path / "gcc", {})
    found = _find(context, distributions=("triton",), present=(gcc,), gpu=True)
    assert _packages(found) == {"g++": "g++"}
