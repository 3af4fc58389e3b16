"""Which needs of files are met by what is around them, and what is said about the others."""

from __future__ import annotations

from cog_nix.elf.scan import DynamicFile, Scan
from cog_nix.plugins.spec import LibraryNeed
from cog_nix.resolve.needs import PROJECT, unmet

_GL = "libGL.so.1"


def _scan(path: str, *needed: str, libraries: tuple[str, ...] = (), search: tuple[str, ...] = ()) -> Scan:
    return Scan((DynamicFile(path, needed, search),), (path, *libraries))


def test_a_wheel_has_what_it_brings() -> None:
    scans: dict[str | int, Scan] = {
        "a": _scan("a/_c.so", "libx-1a2b.so.1", "libsoname.so.2", _GL, libraries=("a.libs/libx-1a2b.so.1",))
    }
    scans["a"] = Scan(scans["a"].files, scans["a"].libraries, ("libsoname.so.2",))
    assert list(unmet(scans, {})) == [LibraryNeed("a", "a/_c.so", _GL)]


def test_a_wheel_has_what_its_dependencies_bring() -> None:
    scans: dict[str | int, Scan] = {
        "torch": _scan("torch/_c.so", "libcublas.so.12", "libhost.so.1"),
        "nvidia-cublas-cu12": Scan(libraries=("nvidia/cublas/lib/libcublas.so.12",)),
        "helper": Scan(),
        "stranger": Scan(libraries=("stranger/libhost.so.1",)),
    }
    depends = {"torch": ("helper",), "helper": ("nvidia-cublas-cu12", "torch")}
    assert list(unmet(scans, depends)) == [LibraryNeed("torch", "torch/_c.so", "libhost.so.1")]


def test_a_run_path_reaches_into_other_wheels() -> None:
    scans: dict[str | int, Scan] = {
        "a": _scan("a/_c.so", "libx.so.1", "liby.so.1", search=("$ORIGIN/../b/lib",)),
        "b": Scan(libraries=("b/lib/libx.so.1", "b/other/liby.so.1")),
    }
    assert list(unmet(scans, {"a": (), "b": ()})) == [LibraryNeed("a", "a/_c.so", "liby.so.1")]


def test_the_project_may_use_all_wheels_and_no_wheel_the_project() -> None:
    scans: dict[str | int, Scan] = {
        "a": _scan("a/_c.so", "libmine.so"),
        PROJECT: _scan("libmine.so", "libx.so.1", _GL),
        "b": Scan(libraries=("b/libx.so.1",)),
    }
    assert list(unmet(scans, {"a": (), "b": ()})) == [
        LibraryNeed(PROJECT, "libmine.so", _GL),
        LibraryNeed("a", "a/_c.so", "libmine.so"),
    ]


def test_what_commands_made_may_use_all_wheels_and_the_interpreter() -> None:
    scans: dict[str | int, Scan] = {
        1: _scan("opt/tool", "libx.so.1", "libpython3.13.so.1.0", _GL),
        "b": Scan(libraries=("b/libx.so.1",)),
    }
    needs = list(unmet(scans, {"b": ()}, provided=("libpython3.13.so.1.0",)))
    assert needs == [LibraryNeed("", "opt/tool", _GL, command=1)]
