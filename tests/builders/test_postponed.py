"""What is done beside dpkg: compiling Python's standard library, and updating certificates."""

# ruff: noqa: F811 - fixtures have the names of parameters

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import forks
import postponed
import pytest

from tests.builders.test_namespace import needs_namespaces, root  # noqa: F401 - a fixture

_LIBRARY = "usr/lib/python3.13"
_ORIGINAL = '"""The real one."""\nLOADED = True\nif __name__ == "__main__":\n    print("real")\n'
_RUN = """
import failure, os, pathlib, subprocess, sys, time, postponed
root, shown, *names = sys.argv[1:]
expected = [(sys.executable, shown + "/python3.13.py", *os.environ["EXPECTED"].split())]
expected = expected if expected[0][2:] else []
made = postponed.Compiler(pathlib.Path(root), pathlib.Path(shown), shown, {"PATH": "/bin"}, expected)
with failure.shown(), made as compiler:
    stub = compiler.binds["/usr/lib/python3.13/py_compile.py"]
    if names:
        subprocess.run([sys.executable, "-E", "-S", stub, *names], check=True)
"""
_GOOD = "pyc.\\003\\000\\000\\000"
_DATED = "pyc.\\000\\000\\000\\000"


def _compile(
    root: Path, tmp_path: Path, bytecode: str, *names: str, expected: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Hand names on as a maintainer script does; a shell script in ``root`` stands for the image's Python.

    Args:
        root: where the library is made.
        tmp_path: for what is shown.
        bytecode: what the script writes.
        names: what is asked for; nothing is when there is none.
        expected: what should be asked for.
    """
    (root / _LIBRARY).mkdir(parents=True, exist_ok=True)
    (root / _LIBRARY / "py_compile.py").write_text(_ORIGINAL)
    (root / _LIBRARY / "encodings").mkdir()
    python = root / sys.executable.lstrip("/")
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(
        f"""#!/bin/sh
        bytecode='{bytecode}'
        shift 4  # -B -E -S py_compile.py
        for name; do
          file=${{name##*/}}
          echo "$file" >> /asked
          printf "$bytecode" > "${{name%/*}}/__pycache__/${{file%.py}}.cpython-313.pyc" || exit 1
        done
        """
    )
    python.chmod(0o755)
    shown = tmp_path / "shown"
    shown.mkdir()
    return subprocess.run(
        [sys.executable, "-B", "-c", _RUN, str(root), str(shown), *names],
        env={"PYTHONPATH": str(Path(postponed.__file__).parent), "EXPECTED": " ".join(expected)},
        capture_output=True,
        text=True,
        check=False,
    )


def _caches(root: Path) -> set[str]:
    return {path.name for path in (root / _LIBRARY).rglob("*.pyc")}


@needs_namespaces
def test_what_scripts_ask_for_is_compiled_and_what_is_removed_later_is_not(
    root: Path, tmp_path: Path
) -> None:
    names = [
        f"/{_LIBRARY}/{name}" for name in ("ast.py", "turtle.py", "encodings/utf_8.py", "encodings/cp437.py")
    ]
    ran = _compile(root, tmp_path, _GOOD, *names)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert _caches(root) == {"ast.cpython-313.pyc", "utf_8.cpython-313.pyc"}
    assert sorted((root / "asked").read_text().split()).count("ast.py") == 1
    assert list((tmp_path / "shown").glob("compile")) == []


@needs_namespaces
def test_bytecode_that_another_python_wrote_meanwhile_is_made_again(root: Path, tmp_path: Path) -> None:
    ran = _compile(root, tmp_path, _DATED, f"/{_LIBRARY}/ast.py")
    assert ran.returncode == 0, ran.stderr
    assert (root / "asked").read_text().split().count("ast.py") == 2


_AST, _UTF_8 = f"/{_LIBRARY}/ast.py", f"/{_LIBRARY}/encodings/utf_8.py"


@needs_namespaces
def test_what_was_expected_is_compiled_once(root: Path, tmp_path: Path) -> None:
    ran = _compile(root, tmp_path, _GOOD, _AST, _UTF_8, expected=(_AST, _UTF_8))
    assert ran.returncode == 0, ran.stderr
    assert (root / "asked").read_text().split() == ["ast.py", "utf_8.py"]
    assert _caches(root) == {"ast.cpython-313.pyc", "utf_8.cpython-313.pyc"}


@needs_namespaces
@pytest.mark.parametrize("names", [(_AST,), (_UTF_8, _AST), ()], ids=["less", "another-order", "nothing"])
def test_nothing_stays_of_what_was_expected_and_not_asked_for(
    root: Path, tmp_path: Path, names: tuple[str, ...]
) -> None:
    ran = _compile(root, tmp_path, _GOOD, *names, expected=(_AST, _UTF_8))
    assert ran.returncode == 0, ran.stderr
    asked, made = [Path(name).name for name in names], (root / "asked").read_text().split()
    assert made[len(made) - len(asked) :] == asked, "made anew, after all else"
    assert _caches(root) == {f"{Path(name).stem}.cpython-313.pyc" for name in names}
    folder = root / _LIBRARY / "encodings/__pycache__"
    assert folder.exists() is (_UTF_8 in names)


def test_the_library_is_asked_for_by_package_as_its_scripts_do() -> None:
    listed = [
        ["usr/bin/python3.13", "etc/python3.13/sitecustomize.py"],
        ["usr/lib/python3.13/ast.py", "usr/lib/python3.13/encodings/hz.py", "usr/lib/python3.13/LICENSE.txt"],
        ["usr/lib/python3.13/asyncio/base.py", "usr/lib/python3/dist-packages/other.py"],
    ]
    program, script = "/usr/bin/python3.13", "/usr/lib/python3.13/py_compile.py"
    assert postponed.library_calls(listed) == [
        (program, script, "/usr/lib/python3.13/ast.py", "/usr/lib/python3.13/encodings/hz.py"),
        (program, script, "/usr/lib/python3.13/asyncio/base.py"),
    ]


@needs_namespaces
def test_what_does_not_compile_ends_the_build(root: Path, tmp_path: Path) -> None:
    (root / _LIBRARY / "__pycache__/ast.cpython-313.pyc").mkdir(parents=True)
    ran = _compile(root, tmp_path, _GOOD, f"/{_LIBRARY}/ast.py")
    assert ran.returncode == 1
    assert ran.stderr.endswith("cog-nix: Python's standard library does not compile\n")


def test_a_program_that_imports_the_module_finds_the_real_one(tmp_path: Path) -> None:
    library = tmp_path / "root" / _LIBRARY
    library.mkdir(parents=True)
    (library / "py_compile.py").write_text(_ORIGINAL)
    (tmp_path / "shown").mkdir()
    binds = postponed.Compiler(tmp_path / "root", tmp_path / "shown", "/nowhere", {}).binds
    stub = binds[f"/{_LIBRARY}/py_compile.py"]
    command = f"import runpy; print(runpy.run_path({str(stub)!r}, run_name='py_compile')['LOADED'])"
    assert (
        subprocess.run([sys.executable, "-c", command], capture_output=True, check=True).stdout == b"True\n"
    )
    for options, names in ((["-O"], ["/a.py"]), ([], ["relative.py"]), ([], ["-"])):
        ran = subprocess.run([sys.executable, *options, stub, *names], capture_output=True, check=True)
        assert ran.stdout == b"real\n", "what it does not know it leaves to the real program"


_ASK = """
import failure, pathlib, subprocess, sys, time, postponed
root, shown, *steps = sys.argv[1:]
made = postponed.Certificates(pathlib.Path(root), pathlib.Path(shown), shown, {"PATH": "/bin"})
with failure.shown(), made as certificates:
    stub = certificates.binds["/usr/sbin/update-ca-certificates"]
    for step in steps:
        if step == "new":
            while not (pathlib.Path(root) / "asked").exists():  # what comes before that is in the first
                time.sleep(0.01)
            (pathlib.Path(root) / "usr/local/share/ca-certificates/new.crt").touch()
        else:
            subprocess.run([stub, *filter(None, step.split("|"))], check=True)
"""
_REAL = """#!/bin/sh
echo "run with $# $*" >> /asked
[ "$1" != fail ]
"""


def _update(root: Path, tmp_path: Path, *steps: str) -> subprocess.CompletedProcess[str]:
    """Ask for an update as a maintainer script does, once for each step; ``new`` brings a certificate."""
    program = root / "usr/sbin/update-ca-certificates"
    program.parent.mkdir(parents=True)
    program.write_text(_REAL)
    program.chmod(0o755)
    (root / "usr/local/share/ca-certificates").mkdir(parents=True)
    shown = tmp_path / "shown"
    shown.mkdir()
    return subprocess.run(
        [sys.executable, "-B", "-c", _ASK, str(root), str(shown), *steps],
        env={"PYTHONPATH": str(Path(postponed.__file__).parent), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_namespaces
@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), []),
        (("",), ["run with 0 "]),
        (("--hooksdir|/none", ""), ["run with 2 --hooksdir /none"]),
        (("--fresh", "new", "", "last"), ["run with 1 --fresh", "run with 1 last"]),
    ],
    ids=["not-asked", "once", "twice", "again-for-another"],
)
def test_certificates_are_updated_once_for_all_who_ask_unless_there_are_others(
    root: Path, tmp_path: Path, steps: tuple[str, ...], expected: list[str]
) -> None:
    ran = _update(root, tmp_path, *steps)
    assert (ran.returncode, ran.stderr) == (0, "")
    asked = root / "asked"
    assert (asked.read_text().splitlines() if asked.exists() else []) == expected


@needs_namespaces
def test_hooks_hear_of_the_last_that_asked(root: Path, tmp_path: Path) -> None:
    (root / "etc/ca-certificates/update.d").mkdir(parents=True)
    (root / "etc/ca-certificates/update.d/hook").touch()
    assert _update(root, tmp_path, "first", "second").returncode == 0
    assert (root / "asked").read_text() == "run with 1 first\nrun with 1 second\n"


@needs_namespaces
def test_an_update_that_fails_ends_the_build(root: Path, tmp_path: Path) -> None:
    ran = _update(root, tmp_path, "fail")
    assert ran.returncode == 1
    assert ran.stderr.endswith("cog-nix: the bundle of certificates cannot be made\n")


@pytest.mark.parametrize("sizes", [[], [1], [5, 1, 4, 2, 3]], ids=["none", "one", "many"])
def test_work_is_shared_and_all_of_it_done(tmp_path: Path, sizes: list[int]) -> None:
    def work(pieces: list[int]) -> int:
        for piece in pieces:
            (tmp_path / str(piece)).touch(exist_ok=False)
        return 0

    assert forks.shared(work, sizes)
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(piece) for piece in range(len(sizes))]


def test_a_failure_is_told_and_the_others_are_waited_for(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails() -> int:
        raise FileNotFoundError(2, "No such file or directory", "some-file")

    def works() -> int:
        (tmp_path / "done").touch()
        return 0

    assert not forks.all_done([forks.start(fails), forks.start(works)])
    assert (tmp_path / "done").exists()
    assert "cog-nix: [Errno 2] No such file or directory: 'some-file'" in capfd.readouterr().err
