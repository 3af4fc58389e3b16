"""What a CPython that was built elsewhere is made to say of itself."""

from __future__ import annotations

import json
import runpy
from typing import TYPE_CHECKING

import failure
import pytest
import relocate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("prefix", "/install", "/usr/local", id="prefix"),
        pytest.param("LIBDIR", "/install/lib", "/usr/local/lib", id="below"),
        pytest.param("CFLAGS", "-I/install/include -O3", "-I/usr/local/include -O3", id="include"),
        pytest.param("LDFLAGS", "-L/install/lib", "-L/usr/local/lib", id="library"),
        pytest.param("LDFLAGS", "-Wl,-rpath,/install/lib", "-Wl,-rpath,/usr/local/lib", id="rpath"),
        pytest.param("CONFIG_ARGS", "'--prefix=/install' 'x'", "'--prefix=/usr/local' 'x'", id="quoted"),
        pytest.param("INSTALL", "/usr/bin/install -c", "/usr/bin/install -c", id="the-program"),
        pytest.param("MAKEDIR", "/installation", "/installation", id="longer-name"),
        pytest.param("CC", "clang -pthread", "gcc -pthread", id="clang"),
        pytest.param("CC", "/tools/llvm/bin/clang", "gcc", id="clang-elsewhere"),
        pytest.param("CXX", "clang++ -pthread", "g++ -pthread", id="clang++"),
        pytest.param("CC", "x86_64-linux-gnu-gcc", "gcc", id="with-a-triplet"),
        pytest.param("CC", "cc", "gcc", id="cc"),
        pytest.param("AR", "/tools/llvm/bin/llvm-ar", "ar", id="ar"),
        pytest.param("LDSHARED", "clang -shared -Wl,-x", "gcc -shared -Wl,-x", id="linker"),
        pytest.param("CC", "icc -fast", "icc -fast", id="another-compiler"),
        pytest.param("MODULE", "clang", "clang", id="no-program"),
        pytest.param("CFLAGS", "-g -fdebug-default-version=4 -O2", "-g -O2", id="clangs-own-flag"),
        pytest.param("CFLAGS", "-isysroot /sdk -O2", "-O2", id="flag-with-a-value"),
        pytest.param("CPPFLAGS", "-I. -I/tools/deps/include/x -DX", "-I. -DX", id="builders-folder"),
        pytest.param("OPT", "-DNDEBUG  -O3", "-DNDEBUG  -O3", id="nothing-to-do"),
        pytest.param("EMPTY", "", "", id="empty"),
    ],
)
def test_a_variable(name: str, value: str, expected: str) -> None:
    assert relocate.variable(name, value, "/install", "/usr/local") == expected


def test_a_makefiles_assignments_are_like_the_variables() -> None:
    text = "CC=\t\tclang -pthread\nprefix=\t/install\nall: $(CC)\n\t$(CC) /install\nX= a \\\n /install\n"
    expected = text.replace("clang", "gcc").replace("prefix=\t/install", "prefix=\t/usr/local")
    assert relocate.makefile(text, "/install", "/usr/local") == expected


def test_everything_that_a_build_remembers_is_rewritten(tmp_path: Path) -> None:
    library = tmp_path / "lib/python3.14"
    (library / "config-3.14-x86_64-linux-gnu").mkdir(parents=True)
    (tmp_path / "lib/pkgconfig").mkdir()
    data = library / "_sysconfigdata__linux_x86_64-linux-gnu.py"
    data.write_text("build_time_vars = {'prefix': '/install', 'CC': 'clang', 'HAVE_FORK': 1}\n")
    (library / "_sysconfigdata__again.py").symlink_to(data.name)
    (library / "_sysconfig_vars__linux_x86_64-linux-gnu.json").write_text('{"CC": "clang", "X": 1}')
    (library / "build-details.json").write_text(
        '{"base_prefix": "/install", "c_api": {"headers": ["/install/x"]}}'
    )
    makefile = library / "config-3.14-x86_64-linux-gnu/Makefile"
    makefile.write_text("CC=clang\n")
    (tmp_path / "lib/pkgconfig/python-3.14.pc").write_text("prefix=/install\nlibdir=${prefix}/lib\n")
    (tmp_path / "lib/pkgconfig/python3.pc").symlink_to("python-3.14.pc")

    assert relocate.relocate(tmp_path, "/usr/local") == "/install"

    assert runpy.run_path(str(data))["build_time_vars"] == {
        "prefix": "/usr/local",
        "CC": "gcc",
        "HAVE_FORK": 1,
    }
    assert (library / "_sysconfigdata__again.py").is_symlink()
    details = json.loads((library / "build-details.json").read_text())
    assert details == {"base_prefix": "/usr/local", "c_api": {"headers": ["/usr/local/x"]}}
    assert json.loads((library / "_sysconfig_vars__linux_x86_64-linux-gnu.json").read_text()) == {
        "CC": "gcc",
        "X": 1,
    }
    assert makefile.read_text() == "CC=gcc\n"
    assert (tmp_path / "lib/pkgconfig/python3.pc").read_text() == "prefix=/usr/local\nlibdir=${prefix}/lib\n"


def test_what_is_no_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(failure.BuildError, match="_sysconfigdata"):
        relocate.relocate(tmp_path, "/usr/local")


def test_the_systems_time_zones_stay_where_they_are() -> None:
    value = "/usr/share/zoneinfo:/etc/zoneinfo"
    assert relocate.variable("TZPATH", value, "/usr", "/usr/local") == value
