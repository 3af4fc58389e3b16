"""Being root of another file system without being root."""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import calls
import namespace
import overlay
import pytest
import refused

if TYPE_CHECKING:
    from collections.abc import Callable

_ALLOW, _DONE, _TRAP = 0x7FFF0000, 0x00050000, 0x00030000
_EPERM, _ENOSYS = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
_X86_64, _I386, _AARCH64, _ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028


def _verdict(
    number: int,
    arguments: tuple[int, ...] = (),
    arch: int = _X86_64,
    *,
    record: bool = False,
    machine: int | None = None,
) -> int:
    """Run the filter on a system call, as the kernel would (linux/bpf_common.h, linux/seccomp.h).

    Args:
        number: of the call.
        arguments: of the call; the rest are 0.
        arch: whose call it is.
        record: whether the filter is one that has things written down.
        machine: what the filter is for; None: where such calls are made.
    """
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    made_for = machine or (_AARCH64 if arch == _AARCH64 else _X86_64)
    program = list(struct.iter_unpack("=HBBI", namespace._filter_program(record=record, machine=made_for)))
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


@pytest.mark.parametrize("machine", [_X86_64, _AARCH64])
def test_what_needs_more_users_is_answered_with_done(machine: int) -> None:
    numbers = calls.numbers(namespace._SKIPPED, machine)
    assert numbers.keys() >= {"setuid", "setresgid", "setgroups", "mknodat", "fsync"}
    assert {_verdict(number, arch=machine) for number in numbers.values()} == {_DONE}


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


_NOBODY, _SAME = 65534, 0xFFFFFFFF


@pytest.mark.parametrize(
    ("number", "arguments", "recorded"),
    [
        (92, (9, 0, 0), _DONE),
        (92, (9, 0, _SAME), _DONE),
        (92, (9, 0xFFFFFFFF_FFFFFFFF, 0), _DONE),
        (92, (9, _NOBODY, 0), _TRAP),
        (92, (9, _SAME, 8), _TRAP),
        (93, (3, 0, 8), _TRAP),
        (94, (9, 7, _SAME), _TRAP),
        (94, (7, 0, 0), _DONE),
        (260, (3, 9, 0, 0, 0), _DONE),
        (260, (3, 9, 0, 8, 0), _TRAP),
        (90, (9, 0o2755), _TRAP),
        (91, (3, 0o4755), _TRAP),
        (268, (3, 9, 0o6755), _TRAP),
        (452, (3, 9, 0o4755, 0), _TRAP),
    ],
)
def test_what_has_to_be_written_down_raises_a_signal(
    number: int, arguments: tuple[int, ...], recorded: int
) -> None:
    assert _verdict(number, arguments, record=True) == recorded
    assert _verdict(number, arguments) == _DONE


@pytest.mark.parametrize("number", [188, 189, 190])
def test_capabilities_are_asked_for_only_where_they_are_written_down(number: int) -> None:
    assert _verdict(number) == _ALLOW
    assert _verdict(number, record=True) == _TRAP


@pytest.mark.parametrize("number", [0, 1, 2, 59, 89, 161, 257, 303, 451, 453, 1000])
def test_everything_else_is_allowed(number: int) -> None:
    assert _verdict(number) == _ALLOW


@pytest.mark.parametrize("arch", [_X86_64, _I386, _AARCH64])
def test_what_containers_do_without_is_refused_by_any_number(arch: int) -> None:
    numbers = calls.numbers(refused.CALLS, arch)
    assert len(numbers) > 40
    assert {_verdict(number, arch=arch) for number in numbers.values()} == {_EPERM}


@pytest.mark.parametrize(
    ("number", "arguments", "verdict"),
    [
        (56, (0x11,), _ALLOW),  # clone, as fork(3) calls it
        (56, (0x3D0F00,), _ALLOW),  # a thread
        (56, (0x10000011,), _EPERM),
        (56, (0x20000011,), _EPERM),
        (272, (0x400,), _ALLOW),  # unshare, of handles
        (272, (0x10000000,), _EPERM),
        (272, (0x80,), _EPERM),
        (435, (), _ENOSYS),
        (41, (1, 1, 0), _ALLOW),
        (41, (40, 1, 0), _EPERM),
        (0x40000000 | 165, (), _ENOSYS),
    ],
)
def test_namespaces_are_refused_and_processes_are_not(
    number: int, arguments: tuple[int, ...], verdict: int
) -> None:
    assert _verdict(number, arguments) == verdict


def test_32_bit_programs_run_and_make_no_namespace() -> None:
    assert _verdict(92, arch=_I386) == _ALLOW
    assert _verdict(120, (0x11,), _I386) == _ALLOW
    assert _verdict(120, (0x10000011,), _I386) == _EPERM
    assert _verdict(310, (0x10000000,), _I386) == _EPERM


@pytest.mark.parametrize(
    ("machine", "arch"),
    [(_X86_64, _AARCH64), (_X86_64, _ARM), (_AARCH64, _X86_64), (_AARCH64, _I386), (_AARCH64, _ARM)],
)
def test_another_architecture_has_no_calls(machine: int, arch: int) -> None:
    assert _verdict(0, arch=arch, machine=machine) == _ENOSYS
    assert _verdict(40, arch=arch, machine=machine) == _ENOSYS


@pytest.mark.parametrize(
    ("number", "arguments", "verdict", "recorded"),
    [
        pytest.param(52, (3, 0o4755), _DONE, _TRAP, id="fchmod"),
        pytest.param(53, (0, 0, 0o6755), _DONE, _TRAP, id="fchmodat"),
        pytest.param(53, (0o6000, 0o6000, 0o755), _ALLOW, _ALLOW, id="fchmodat-of-plain-bits"),
        pytest.param(452, (0, 0, 0o2755, 0), _DONE, _TRAP, id="fchmodat2"),
        pytest.param(54, (3, 9, 0, 0, 0), _DONE, _DONE, id="fchownat-to-root"),
        pytest.param(54, (3, 9, 0, 8, 0), _DONE, _TRAP, id="fchownat"),
        pytest.param(55, (3, _NOBODY, _SAME), _DONE, _TRAP, id="fchown"),
        pytest.param(5, (), _ALLOW, _TRAP, id="setxattr"),
        pytest.param(6, (), _ALLOW, _TRAP, id="lsetxattr"),
        pytest.param(7, (), _ALLOW, _TRAP, id="fsetxattr"),
        pytest.param(8, (), _ALLOW, _ALLOW, id="getxattr"),
        pytest.param(146, (0,), _DONE, _DONE, id="setuid"),
        pytest.param(33, (0, 0, 0, 0), _DONE, _DONE, id="mknodat"),
        pytest.param(40, (), _EPERM, _EPERM, id="mount"),
        pytest.param(280, (), _EPERM, _EPERM, id="bpf"),
        pytest.param(220, (0x11,), _ALLOW, _ALLOW, id="clone-as-fork-calls-it"),
        pytest.param(220, (0x10000011,), _EPERM, _EPERM, id="clone-with-a-user-namespace"),
        pytest.param(97, (0x400,), _ALLOW, _ALLOW, id="unshare-of-handles"),
        pytest.param(97, (0x80,), _EPERM, _EPERM, id="unshare-of-the-clock"),
        pytest.param(435, (), _ENOSYS, _ENOSYS, id="clone3"),
        pytest.param(198, (1, 1, 0), _ALLOW, _ALLOW, id="socket"),
        pytest.param(198, (40, 1, 0), _EPERM, _EPERM, id="socket-to-the-virtual-machines-host"),
        *(
            pytest.param(number, (), _ALLOW, _ALLOW, id=f"{number}-which-is-something-else-on-x86-64")
            for number in (56, 90, 93, 94, 103, 165, 188, 260, 272)
        ),
    ],
)
def test_aarch64_has_numbers_of_its_own(
    number: int, arguments: tuple[int, ...], verdict: int, recorded: int
) -> None:
    assert _verdict(number, arguments, _AARCH64) == verdict
    assert _verdict(number, arguments, _AARCH64, record=True) == recorded


def _libseccomp() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None


@pytest.mark.skipif(_libseccomp() is None, reason="there is no second table to compare with")
@pytest.mark.parametrize("arch", [_X86_64, _I386, _AARCH64])
def test_numbers_are_those_of_libseccomp(arch: int) -> None:
    library = _libseccomp()
    assert library
    newer = {"fchmodat2", "open_tree_attr"}  # than some of its releases
    through_another = {"socket"} if arch == _I386 else set()  # socketcall, which the kernel has as well
    for name in calls.NUMBERS.keys() - newer - through_another:
        known = library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(arch), name.encode())
        assert calls.numbers([name], arch).get(name, -1) == max(known, -1), name


@pytest.mark.parametrize("machine", [_X86_64, _AARCH64])
def test_no_jump_leaves_the_program(machine: int) -> None:
    program = list(struct.iter_unpack("=HBBI", namespace._filter_program(record=True, machine=machine)))
    assert len(program) <= 4096, "BPF_MAXINSNS"
    for position, (code, true, false, _) in enumerate(program):
        if code & 0x07 == 0x05:
            assert position + 1 + max(true, false) < len(program)


def _namespaces_work() -> bool:
    probe = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10020000) != 0)"
    return not subprocess.run([sys.executable, "-c", probe], check=False).returncode


needs_namespaces = pytest.mark.skipif(not _namespaces_work(), reason="no user namespaces here")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a file system that holds this machine's shell and what it needs."""
    folder = tmp_path / "root"
    programs = [
        shutil.which(name) for name in ("sh", "chmod", "chown", "cat", "id", "mknod", "mv", "mkdir", "rm")
    ]
    for program in filter(None, programs):
        _copy(Path(program), folder)
        for line in subprocess.run(
            ["ldd", program], capture_output=True, text=True, check=True
        ).stdout.splitlines():
            for word in line.split():
                if word.startswith("/"):
                    _copy(Path(word), folder)
    if not (folder / "bin/sh").exists():
        (folder / "bin").mkdir(exist_ok=True)
        shutil.copy(Path("/bin/sh").resolve(), folder / "bin/sh")
    return folder


def _copy(path: Path, folder: Path) -> None:
    target = folder / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path.resolve(), target)


_RECORDING = """
import json, pathlib, sys, namespace, ownership
root, command, *paths = sys.argv[1:]
asked = ownership.Ownership()
shell, environment = ["/bin/sh", "-c", command], {"PATH": "/bin:/usr/bin"}
status = namespace.run(pathlib.Path(root), shell, environment, {}, owners=asked)
found = {}
for path in paths:
    info = (pathlib.Path(root) / path).lstat()
    change = asked.of(pathlib.Path(root) / path, info.st_ino)
    found[path] = [change.uid, change.gid, change.special, oct(info.st_mode & 0o7777), change.capability]
print(json.dumps([status, len(asked), found]))
"""


def _record(root: Path, command: str, *paths: str) -> tuple[int, int, dict[str, list[object]]]:
    """Run a shell line that is watched; return its status, how many files were noted, and what of each."""
    ran = subprocess.run(
        [sys.executable, "-B", "-c", _RECORDING, str(root), command, *paths],
        env={"PYTHONPATH": str(Path(namespace.__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    status, number, found = json.loads(ran.stdout.splitlines()[-1])
    return status, number, found


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


@needs_namespaces
@pytest.mark.parametrize(
    ("command", "change"),
    [
        ("echo > f; chown 42:43 f", [42, 43, 0, "0o644", None]),
        ("echo > f; chown 42 /f; chown :43 f", [42, 43, 0, "0o644", None]),
        ("mkdir d; cd d; echo > ../f; chown 42:43 ../f", [42, 43, 0, "0o644", None]),
        ("echo > g; chown 42:43 g; mv g f", [42, 43, 0, "0o644", None]),
        ("echo > f; chmod 4750 f", [None, None, 0o4000, "0o750", None]),
        ("mkdir f; chmod 3775 f; chown :43 f", [None, 43, 0o2000, "0o1775", None]),
        ("echo > f; chmod 6755 f; chown 42 f", [42, None, 0, "0o755", None]),
        ("echo > f; chown 0:0 f; chmod 600 f", [None, None, None, "0o600", None]),
    ],
)
def test_owners_and_special_bits_are_written_down(root: Path, command: str, change: list[object]) -> None:
    status, number, found = _record(root, command, "f")
    assert (status, found) == (0, {"f": change})
    assert number <= 1


@needs_namespaces
def test_a_link_has_an_owner_of_its_own(root: Path) -> None:
    (root / "f").symlink_to("/nowhere")
    _, _, found = _record(root, "chown -h 42:43 f; chown 9:9 f", "f")
    assert found == {"f": [42, 43, 0, "0o777", None]}


@needs_namespaces
def test_links_lead_where_they_lead_inside(root: Path) -> None:
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/here").write_text("")
    (root / "link").symlink_to("/etc/here")
    _, number, found = _record(root, "chown 42:43 link; chown 9:9 /etc/passwd", "etc/here", "link")
    assert found["etc/here"][:2] == [42, 43]
    assert found["link"][:2] == [None, None]
    assert number == 1, "this machine's own /etc/passwd is out of reach"


@needs_namespaces
def test_a_file_that_is_gone_leaves_no_trace_on_its_successor(root: Path) -> None:
    command = "echo > f; chown 42:43 f; rm f; echo > f"
    assert _record(root, command, "f")[2]["f"][:3] == [None, None, None]


@needs_namespaces
def test_what_cannot_be_found_is_an_error_as_ever(root: Path) -> None:
    assert _record(root, "chown 42:43 missing || exit 7")[:2] == (7, 0)


@needs_namespaces
def test_capabilities_are_written_down_and_other_attributes_refused(root: Path) -> None:
    code = (
        "import os\n"
        "open('/f', 'w').close()\n"
        "os.setxattr('/f', 'security.capability', b'\\1\\0\\0\\2\\0\\x20\\0\\x80' + bytes(12))\n"
        "try: os.setxattr('/f', 'user.other', b'x')\n"
        "except OSError as error: raise SystemExit(error.errno)\n"
    )
    # A system that shows all of this machine's, and the file where it is.
    shown = {f"/{entry.name}": entry.path for entry in os.scandir("/") if entry.is_dir()}
    for name in ("dev", "proc", "sys"):
        shown.pop(f"/{name}", None)
        (root / name).mkdir(exist_ok=True)
    binds = f"{{name: pathlib.Path(path) for name, path in {shown!r}.items()}}"
    script = _RECORDING.replace('["/bin/sh", "-c", command]', "json.loads(command)")
    script = script.replace("environment, {}", f"environment, {binds}")
    script = script.replace("pathlib.Path(root) / path", "pathlib.Path('/') / path")
    ran = subprocess.run(
        [
            sys.executable,
            "-B",
            "-c",
            script,
            str(root),
            json.dumps([sys.executable, "-c", code.replace("/f", str(root / "f"))]),
            str(root / "f")[1:],
        ],
        env={"PYTHONPATH": str(Path(namespace.__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    status, _, found = json.loads(ran.stdout.splitlines()[-1])
    assert status == errno.ENOTSUP
    [change] = found.values()
    assert change[-1] == "\1\0\0\2\0 \0\x80" + "\0" * 12


@needs_namespaces
def test_all_that_a_program_starts_is_watched_to_its_end(root: Path) -> None:
    line = "echo > f; (chown 42:43 f; sh -c 'kill -KILL $$') | cat; (cat f | cat) | cat; exit 3"
    assert _record(root, line, "f")[::2] == (3, {"f": [42, 43, 0, "0o644", None]})


@needs_namespaces
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("for n in 1 2 3 4 5 6 7 8 9; do (cat /bin/sh | (cat; cat) | rm -f x); done", 0),
        ("bomb() { bomb | bomb; }; bomb", 125),
    ],
)
def test_what_a_program_starts_is_counted_where_the_kernel_does_not(
    root: Path, command: str, status: int
) -> None:
    older = (
        "import confinement; confinement.PROCESSES = 20; "
        "confinement._OWN_PID_MAX = confinement._OWN_LIMIT = (99, 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-B", "-c", f"{older}\n{_RECORDING}", str(root), command],
        env={"PYTHONPATH": str(Path(namespace.__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ran.stdout.splitlines()[-1])[0] == status
    said = "cog-nix: /bin/sh was ended: more than 20 processes and threads at one time\n"
    assert ran.stderr.endswith(said) == (status != 0)


def test_what_is_kept_on_one_processor_may_use_all_of_them_afterwards() -> None:
    allowed = os.sched_getaffinity(0)
    with namespace.one_processor():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == allowed


def test_a_file_system_is_completed_where_it_cannot_be_laid_under(tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for name in ("lower/usr/bin/tool", "lower/etc/conf", "upper/etc/conf"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (lower / "bin").symlink_to("usr/bin")
    (lower / "usr/bin/tool").chmod(0o555)
    overlay._complete(lower, upper)
    assert (upper / "bin/tool").read_text() == "lower/usr/bin/tool"
    assert (upper / "bin").is_symlink()
    assert (upper / "etc/conf").read_text() == "upper/etc/conf"
    assert (upper / "usr/bin/tool").stat().st_mode & 0o777 == 0o755
