"""What the dynamic linker is told of libraries in wheels."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

import archive
import failure
import linker
import pytest
import unpack

from cog_nix.elf import ldcache
from tests.elf.made import make_elf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SITE = "usr/local/lib/python3.13/site-packages"


def _file(path: str, data: bytes) -> archive.Entry:
    return archive.Entry(path, 0o755, data=data)


def _cache(*libraries: ldcache.Library) -> archive.Entry:
    return _file(linker.CACHE, ldcache.write(ldcache.Cache(libraries, b"ldconfig", ("x86-64-v3",))))


@pytest.fixture
def made(make_fragment: Callable[..., Path], store: Path) -> Callable[..., unpack.View]:
    """Return a function from entries of wheels and of systems to what the builder makes."""

    def make(wheels: list[list[archive.Entry]], lower: list[list[archive.Entry]]) -> unpack.View:
        fragments = [make_fragment(f"w{number}", *one) for number, one in enumerate(wheels)]
        below = [make_fragment(f"l{number}", *one) for number, one in enumerate(lower)]
        out = store / "out"
        archive.write_fragment(out, linker.entries(fragments, below), "linker")
        return unpack.view([out])

    return make


def _listed(found: unpack.View) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for library in ldcache.read(found.contents(linker.CACHE)).libraries:
        listed.setdefault(library.name, []).append(library.path)
    return listed


def test_libraries_are_added_under_the_names_that_they_declare(made: Callable[..., Any]) -> None:
    folder = f"{_SITE}/nvidia/cublas/lib"
    long = f"{_SITE}/nvidia/{'x' * 120}/lib"
    found = made(
        [
            [
                _file(f"{folder}/libcublas.so.12", make_elf(soname="libcublas.so.12")),
                _file(f"{folder}/libnvblas.so.12.4", make_elf(soname="libnvblas.so.12")),
                _file(f"{folder}/libstatic.a", b"!<arch>"),
                _file(f"{folder}/libtext.so", b"GROUP ( libother.so )"),
                _file(f"{_SITE}/nvidia/cublas/include/libno.so", make_elf(soname="libno.so")),
                _file(f"{_SITE}/torch/lib/libtorch.so", make_elf(soname="libtorch.so")),
            ],
            [_file(f"{long}/libfar.so.1", make_elf())],
        ],
        [[_cache(ldcache.Library("libz.so.1", "/lib/x86_64-linux-gnu/libz.so.1"))]],
    )
    assert _listed(found) == {
        "libz.so.1": ["/lib/x86_64-linux-gnu/libz.so.1"],
        "libcublas.so.12": [f"/{folder}/libcublas.so.12"],
        "libnvblas.so.12": [f"/{folder}/libnvblas.so.12.4"],
        "libfar.so.1": [f"/{long}/libfar.so.1"],
        "ld-linux-x86-64.so.2": ["/usr/lib64/ld-linux-x86-64.so.2"],
    }
    assert ldcache.read(found.contents(linker.CACHE)).hwcaps == ("x86-64-v3",)
    assert found.contents(linker.CONFIGURATION).decode().splitlines() == [
        "/usr/local/nvidia/lib",
        "/usr/local/nvidia/lib64",
        "/usr/lib64",
        f"/{folder}",
        f"/{long}",
    ]


def test_the_systems_own_library_comes_first(made: Callable[..., Any]) -> None:
    path = f"{_SITE}/nvidia/nccl/lib/libnccl.so.2"
    own = ldcache.Library("libnccl.so.2", "/lib/x86_64-linux-gnu/libnccl.so.2")
    found = made([[_file(path, make_elf(soname="libnccl.so.2"))]], [[_cache(own)]])
    assert _listed(found)["libnccl.so.2"] == [own.path, f"/{path}"]


def test_the_topmost_cache_is_taken_up_and_nothing_is_added_twice(made: Callable[..., Any]) -> None:
    path = f"{_SITE}/nvidia/nccl/lib/libnccl.so.2"
    found = made(
        [[_file(path, make_elf(soname="libnccl.so.2"))]],
        [
            [_cache(ldcache.Library("libold.so.1", "/lib/libold.so.1"))],
            [
                _cache(
                    ldcache.Library("libnccl.so.2", f"/{path}"),
                    ldcache.Library("libnew.so.1", "/lib/libnew.so.1"),
                )
            ],
            [_file("etc/hostname", b"")],
        ],
    )
    assert _listed(found) == {
        "libnccl.so.2": [f"/{path}"],
        "libnew.so.1": ["/lib/libnew.so.1"],
        "ld-linux-x86-64.so.2": ["/usr/lib64/ld-linux-x86-64.so.2"],
    }


def test_what_links_with_the_driver_finds_it_wherever_it_is_mounted(made: Callable[..., Any]) -> None:
    found = made([], [])
    links = {path: found.entry(path) for path in found.files if path.endswith("libcuda.so")}
    assert sorted(links) == ["usr/lib/x86_64-linux-gnu/libcuda.so", "usr/lib64/libcuda.so"]
    assert {(entry.kind, entry.target) for entry in links.values()} == {(tarfile.SYMTYPE, "libcuda.so.1")}


def test_a_cache_of_another_format_ends_the_build(made: Callable[..., Any]) -> None:
    with pytest.raises(failure.BuildError, match=r"/etc/ld.so.cache of the image cannot be read"):
        made([], [[_file(linker.CACHE, b"ld.so-1.7.0")]])
