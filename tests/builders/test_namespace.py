"""Being root of another file system without being root."""

from __future__ import annotations

import errno
import functools
import os
import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import namespace
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_ALLOW, _DONE = 0x7FFF0000, 0x00050000
_X86_64, _I386 = 0xC000003E, 0x40000003


def _verdict(number: int, arguments: tuple[int, ...] = (), arch: int = _X86_64) -> int:
    """Run the filter on a system call, as the kernel would (linux/bpf_common.h, linux/seccomp.h)."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    program = list(struct.iter_unpack("=HBBI", namespace._filter_program()))
    position, accumulator = 0, 0
    while True:
        code, true, false, constant = program[position]
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, constant)
        elif code == 0x15:
            position += true if accumulator == constant else false
        elif code == 0x45:
            position += true if accumulator & constant else false
        else:
            assert code == 0x06
            return int(constant)


@pytest.mark.parametrize("number", sorted(namespace._SKIPPED.values()))
def test_what_needs_more_users_is_answered_with_done(number: int) -> None:
    assert _verdict(number) == _DONE


@pytest.mark.parametrize(
    ("number", "arguments", "verdict"),
    [
        (90, (0, 0o4755), _DONE),
        (90, (0, 0o2755), _DONE),
        (90, (0, 0o755), _ALLOW),
        (90, (0o6000, 0o1777), _ALLOW),
        (91, (3, 0o4755), _DONE),
        (268, (0, 0, 0o6755), _DONE),
        (268, (0o6000, 0o6000, 0o755), _ALLOW),
        (452, (0, 0, 0o2755, 0), _DONE),
        (452, (0, 0, 0o755, 0), _ALLOW),
    ],
)
def test_only_setuid_bits_are_swallowed(number: int, arguments: tuple[int, ...], verdict: int) -> None:
    assert _verdict(number, arguments) == verdict


@pytest.mark.parametrize("number", [0, 1, 2, 59, 89, 257, 435, 451, 453, 1000])
def test_everything_else_is_allowed(number: int) -> None:
    assert _verdict(number) == _ALLOW


def test_another_architecture_is_left_alone() -> None:
    assert _verdict(92, arch=_I386) == _ALLOW


def test_no_jump_leaves_the_program() -> None:
    program = list(struct.iter_unpack("=HBBI", namespace._filter_program()))
    assert len(program) <= 4096, "BPF_MAXINSNS"
    for position, (code, true, false, _) in enumerate(program):
        if code & 0x07 == 0x05:
            assert position + 1 + max(true, false) < len(program)


def _namespaces_work() -> bool:
    probe = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10020000) != 0)"
    return (
        platform.machine() == "x86_64"
        and not subprocess.run([sys.executable, "-c", probe], check=False).returncode
    )


needs_namespaces = pytest.mark.skipif(not _namespaces_work(), reason="no user namespaces here")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a file system that holds this machine's shell and what it needs."""
    folder = tmp_path / "root"
    programs = [shutil.which(name) for name in ("sh", "chmod", "chown", "cat", "id", "mknod")]
    for program in filter(None, programs):
        _copy(Path(program), folder)
        for line in subprocess.run(
            ["ldd", program], capture_output=True, text=True, check=True
        ).stdout.splitlines():
            for word in line.split():
                if word.startswith("/"):
                    _copy(Path(word), folder)
    return folder


def _copy(path: Path, folder: Path) -> None:
    target = folder / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path.resolve(), target)


_PROGRAM = """
import pathlib, sys, namespace
root, command, *binds = sys.argv[1:]
shown = {inside: pathlib.Path(outside) for inside, outside in zip(binds[::2], binds[1::2], strict=True)}
environment = {"PATH": "/bin:/usr/bin", "A": "b"}
sys.exit(namespace.run(pathlib.Path(root), ["/bin/sh", "-c", command], environment, shown))
"""


def _run(root: Path, command: str, *binds: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-c", _PROGRAM, str(root), command, *binds],
        env={"PYTHONPATH": str(Path(namespace.__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def run(root: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a shell line as root of ``root``, from a process of its own."""
    if not (root / "bin/sh").exists():
        (root / "bin").mkdir(exist_ok=True)
        shutil.copy(Path("/bin/sh").resolve(), root / "bin/sh")

    return functools.partial(_run, root)


@needs_namespaces
def test_a_shell_is_root_of_its_own_file_system(
    run: Callable[..., subprocess.CompletedProcess[str]], root: Path
) -> None:
    ran = run("id -u; echo $A; echo made > /made; cat /proc/1/comm; chown 42:42 /made && chmod 4755 /made")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "0\nb\nsh\n", "")
    made = (root / "made").stat()
    assert (made.st_uid, oct(made.st_mode & 0o7777)) == (os.geteuid(), "0o644"), "the filter skipped both"


@needs_namespaces
def test_folders_of_this_side_are_shown(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, root: Path
) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given/file").write_text("from outside")
    assert run("cat /shown/here/file", "/shown/here", str(tmp_path / "given")).stdout == "from outside"
    assert list((root / "shown/here").iterdir()) == [], "the mount went away with the process"


@needs_namespaces
@pytest.mark.parametrize(
    ("command", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 0), ("cd /nowhere", 2)], ids=str
)
def test_the_exit_status_is_the_commands(
    run: Callable[..., subprocess.CompletedProcess[str]], command: str, status: int
) -> None:
    # a first process of a pid namespace ignores signals it does not handle (pid_namespaces(7))
    assert run(command).returncode == status


@needs_namespaces
def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = _run(tmp_path / "empty", "exit 0")
    assert ran.returncode == 125
    assert ran.stderr == f"cog-nix: [Errno {errno.ENOENT}] No such file or directory: '/bin/sh'\n"


def test_a_file_system_is_completed_where_it_cannot_be_laid_under(tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for name in ("lower/usr/bin/tool", "lower/etc/conf", "upper/etc/conf"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (lower / "bin").symlink_to("usr/bin")
    (lower / "usr/bin/tool").chmod(0o555)
    namespace._complete(lower, upper)
    assert (upper / "bin/tool").read_text() == "lower/usr/bin/tool"
    assert (upper / "bin").is_symlink()
    assert (upper / "etc/conf").read_text() == "upper/etc/conf"
    assert (upper / "usr/bin/tool").stat().st_mode & 0o777 == 0o755
