"""Try to get out of where this runs; print as JSON what worked, and what did not and why.

The standard library is enough, from Python 3.8 on, so that it can be put into anything that runs foreign code:
a setup script, a maintainer script, a shell command, a model::

    python escape.py '{"file": "/etc/canary", "abstract": "name", "port": 1234, …}' [PROBE …]

A probe whose facts are not given is left out. Nothing is harmed where a probe succeeds: settings are opened for writing and not written (or get the value that
they have), devices and processes are opened and left alone, signals are number 0. Each probe runs in a process
of its own, which may take :data:`SECONDS`.

The output is one line, ``ESCAPE {"worked": {probe: detail}, "refused": {probe: reason}, "state": {…}}``.
``state`` is what /proc/self/status says of rights.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import select
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time

SECONDS = 30
DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
"""What Docker's containers have (OCI runtime specification, "Default Devices")."""
DOCKERS = 0xA80425FB
"""Capabilities of Docker's containers: CHOWN, DAC_OVERRIDE, FSETID, FOWNER, MKNOD, NET_RAW, SETGID, SETUID,
SETFCAP, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, KILL and AUDIT_WRITE."""
OPENED = 12
"""How many of a probe's findings are told."""

COLUMN = int(os.uname().machine == "aarch64")
"""Whose numbers of system calls are taken; x86-64's are first."""

libc = ctypes.CDLL(None, use_errno=True)
NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = (
    0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
RDONLY, REMOUNT, BIND, MOVE, REC, PRIVATE, DETACH = 1, 32, 4096, 8192, 16384, 1 << 18, 2
PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17

PROBES = {}


class Refused(Exception):
    """A probe did not get what it wanted."""


def probe(function):
    """Add a function that returns what it got, or raises OSError or Refused."""
    PROBES[function.__name__] = function
    return function


def checked(result, what=""):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return result


def syscall(number, *arguments):
    return checked(
        libc.syscall(
            ctypes.c_long(number), *(ctypes.c_long(one) if isinstance(one, int) else one for one in arguments)
        )
    )


def mount(source, target, kind, flags=0, data=None):
    encoded = [one.encode() if one is not None else None for one in (source, target, kind)]
    checked(libc.mount(*encoded, ctypes.c_ulong(flags), data.encode() if data else None), target)


def opened(path, flags=os.O_WRONLY):
    """Open and close a file."""
    os.close(os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
    return path


def not_null(path):
    """See that a file is not hidden behind /dev/null."""
    if os.stat(path).st_rdev == os.makedev(1, 3):
        raise Refused("hidden")


def any_of(attempts):
    """Return the details of those that worked; raise the last error when none did."""
    worked, reason = [], Refused("nothing there to try")
    for name, action in attempts:
        try:
            detail = action()
            worked.append(name if detail is None or detail == name else "%s: %s" % (name, detail))
        except (OSError, Refused, ValueError) as error:
            reason = error
    if not worked:
        raise reason
    return worked


def files(folder, skip=()):
    for parent, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if os.path.join(parent, one) not in skip]
        for name in names:
            path = os.path.join(parent, name)
            try:
                if stat.S_ISREG(os.lstat(path).st_mode):
                    yield path
            except OSError:
                pass


def writable(folder, skip=()):
    return any_of((path, lambda path=path: opened(path)) for path in files(folder, skip))


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def parent_of(pid):
    with open("/proc/%d/stat" % pid, "rb") as stream:
        return int(stream.read().rpartition(b")")[2].split()[1])


def strangers():
    """Processes that neither are this one's ancestors up to the probes' program nor come from it."""
    mine, found = {os.getpid()}, []
    ancestor = FIRST
    while ancestor:
        mine.add(ancestor)
        ancestor = parent_of(ancestor)
    for pid in pids():
        try:
            if pid not in mine and parent_of(pid) not in (FIRST, os.getpid()):
                found.append(pid)
        except (OSError, ValueError):
            pass
    return found


def in_new_namespaces(flags, action):
    """Become root of a user namespace and act there, in a new process if processes are separate."""
    uid, gid = os.geteuid(), os.getegid()
    checked(libc.unshare(NEWUSER), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", "0 %d 1" % uid), ("gid_map", "0 %d 1" % gid)):
        with open("/proc/self/" + name, "w") as stream:
            stream.write(text)
    checked(libc.unshare(flags), "unshare")
    return in_child(action) if flags & NEWPID else action()


def in_child(action, seconds=SECONDS):
    """Act in a process of its own; return what it returned, raise what it raised."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)  # what it starts ends with it
        os.close(reading)
        try:
            told = ["worked", action()]
        except OSError as error:
            told = ["refused", "%s (%s)" % (error.strerror, errno.errorcode.get(error.errno, error.errno))]
        except KeyError as error:
            told = ["untold", str(error)]
        except Exception as error:  # noqa: BLE001 - whatever it is, the probe did not work
            told = ["refused", "%s: %s" % (type(error).__name__, error)]
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)
    text, end = b"", time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([reading], [], [], max(0, end - time.monotonic()))
        chunk = os.read(reading, 1 << 16) if ready else b""
        text += chunk
        if not chunk:
            break
    os.close(reading)
    try:
        os.killpg(child, signal.SIGKILL)
    except OSError:
        pass  # it has ended, and so has all else
    status = os.waitpid(child, 0)[1]
    if not text:
        raise Refused("took too long" if not ready else "ended with %d" % status)
    word, detail = json.loads(text)
    if word == "refused":
        raise Refused(detail)
    if word == "untold":
        raise KeyError(detail)
    return detail


# --- /proc and /sys


def same_again(path):
    with open(path, "r+b", buffering=0) as stream:
        value = stream.read(4096)
        os.lseek(stream.fileno(), 0, 0)
        stream.write(value)
    return path


@probe
def write_swappiness():
    """Write the value that it has."""
    return same_again("/proc/sys/vm/swappiness")


@probe
def open_core_pattern():
    return opened("/proc/sys/kernel/core_pattern")


@probe
def open_sysrq():
    return opened("/proc/sysrq-trigger")


@probe
def open_proc_sys():
    """Any setting of the kernel, those of namespaces too."""
    return writable("/proc/sys")


@probe
def open_proc():
    """Any other file of /proc that is no process'."""
    skip = {"/proc/%s" % name for name in os.listdir("/proc") if name.isdigit()}
    return writable("/proc", skip | {"/proc/sys", "/proc/self", "/proc/thread-self"})


@probe
def open_sys():
    return writable("/sys")


@probe
def read_masked():
    """What Docker hides (its ``MaskedPaths``)."""

    def read(path):
        if os.path.isdir(path):
            if not os.listdir(path):
                raise Refused("empty")
            return path
        not_null(path)
        with open(path, "rb", buffering=0) as stream:
            if not stream.read(1):
                raise Refused("empty")
        return path

    names = [
        "/proc/" + name
        for name in (
            "kcore",
            "keys",
            "latency_stats",
            "timer_list",
            "timer_stats",
            "sched_debug",
            "scsi",
            "acpi",
            "interrupts",
            "asound",
        )
    ]
    return any_of(
        (path, lambda path=path: read(path))
        for path in [*names, "/sys/firmware", "/sys/devices/virtual/powercap"]
    )


@probe
def read_kernel_log():
    def read(path):
        not_null(path)
        return opened(path, os.O_RDONLY)

    return any_of(
        [
            ("/proc/kmsg", lambda: read("/proc/kmsg")),
            ("/dev/kmsg", lambda: opened("/dev/kmsg", os.O_RDWR)),
            ("syslog", lambda: syscall((103, 116)[COLUMN], 10, 0, 0)),
        ]
    )


# --- cgroups


def cgroup_folders():
    with open("/proc/self/mountinfo") as stream:
        return [line.split()[4] for line in stream if " - cgroup" in line]


@probe
def open_release_agent():
    return any_of(
        (path, lambda path=path: opened(path))
        for folder in cgroup_folders()
        for path in files(folder)
        if path.endswith(("release_agent", "notify_on_release"))
    )


@probe
def make_cgroup():
    def make(folder):
        path = os.path.join(folder, "escape-%d" % os.getpid())
        os.mkdir(path)
        os.rmdir(path)

    return any_of((folder, lambda folder=folder: make(folder)) for folder in cgroup_folders())


@probe
def leave_cgroup():
    """Any file that moves processes from one group to another."""
    return any_of(
        (path, lambda path=path: opened(path))
        for folder in cgroup_folders()
        for path in files(folder)
        if path.endswith(("cgroup.procs", "/tasks", "devices.allow"))
    )


# --- devices


@probe
def open_devices():
    """Devices that Docker's containers do not have."""
    nodes = []
    for parent, folders, names in os.walk("/dev"):
        folders[:] = [one for one in folders if one not in ("pts", "shm", "mqueue", "fd")]
        for name in names:
            path = os.path.join(parent, name)
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            if "watchdog" in name:
                continue  # closing it may restart the machine
            if (stat.S_ISBLK(mode) or stat.S_ISCHR(mode)) and name not in DEVICES:
                nodes.append(path)
    return any_of((path, lambda path=path: opened(path, os.O_RDWR)) for path in nodes)


@probe
def see_devices():
    found = sorted(
        name
        for name in os.listdir("/dev")
        if name not in DEVICES and not os.path.islink("/dev/" + name) and not os.path.isdir("/dev/" + name)
    )
    if not found:
        raise Refused("none but the usual")
    return found[:OPENED]


@probe
def make_devices():
    def make(number):
        path = os.path.join(tempfile.gettempdir(), "escape-%d-%d" % (os.getpid(), number))
        try:
            os.mknod(path, 0o600 | (stat.S_IFBLK if number in LOOP else stat.S_IFCHR), number)
            opened(path, os.O_RDONLY)
        finally:
            if os.path.lexists(path):
                os.unlink(path)

    LOOP = {os.makedev(7, 0), os.makedev(254, 0), os.makedev(8, 0)}
    wanted = [os.makedev(1, 1), os.makedev(1, 11), os.makedev(10, 229), os.makedev(10, 232), *sorted(LOOP)]
    return any_of(("%d:%d" % (os.major(one), os.minor(one)), lambda one=one: make(one)) for one in wanted)


@probe
def control_terminal():
    return opened("/dev/tty", os.O_RDWR)


# --- mounts and namespaces


FILE_SYSTEMS = (
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "tmpfs",
    "devpts",
    "mqueue",
    "securityfs",
    "debugfs",
    "tracefs",
    "bpf",
    "ramfs",
    "overlay",
)


def in_folder(action, *arguments):
    """Act with an empty folder, which is removed afterwards."""
    folder = tempfile.mkdtemp(prefix="escape-")
    try:
        return action(*arguments, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def mount_any():
    def one(kind, folder):
        data = None
        if kind == "overlay":
            for name in ("l", "u", "w"):
                os.mkdir(os.path.join(folder, name))
            data = "lowerdir={0}/l,upperdir={0}/u,workdir={0}/w".format(folder)
        mount("none", folder, kind, 0, data)
        libc.umount2(folder.encode(), DETACH)

    return any_of((kind, lambda kind=kind: in_folder(one, kind)) for kind in FILE_SYSTEMS)


@probe
def mount_here():
    return mount_any()


@probe
def make_user_namespace():
    return in_new_namespaces(NEWNS, lambda: "unshare")


@probe
def mount_in_new_namespaces():
    return in_new_namespaces(NEWNS | NEWPID | NEWIPC | NEWUTS | NEWNET | NEWCGROUP, mount_any)


def uncover():
    """Take away what lies over parts of /proc and /sys, or makes them read-only."""

    def unmounted(path):
        checked(libc.umount2(path.encode(), DETACH), path)
        return path

    def remounted(path):
        mount("none", path, None, REMOUNT | BIND)
        return path

    with open("/proc/self/mountinfo") as stream:
        covered = [line.split()[4] for line in stream]
    covered = [path for path in covered if path.startswith(("/proc", "/sys", "/nix", "/dev"))][::-1]
    return any_of(
        (what.__name__ + " " + path, lambda what=what, path=path: what(path))
        for path in covered
        for what in (unmounted, remounted)
    )


@probe
def uncover_here():
    checked(libc.unshare(NEWNS), "unshare")  # whatever happens, it happens in here alone
    mount("none", "/", None, REC | PRIVATE)
    return uncover()


@probe
def uncover_in_new_namespaces():
    return in_new_namespaces(NEWNS | NEWPID, uncover)


@probe
def write_proc_of_new_namespaces():
    """Mount /proc anew where that is allowed, and open a setting of the machine's in it."""

    def act(folder):
        mount("proc", folder, "proc")
        try:
            return opened(folder + "/sys/vm/swappiness")
        finally:
            libc.umount2(folder.encode(), DETACH)

    return in_new_namespaces(NEWNS | NEWPID, lambda: in_folder(act))


@probe
def enter_namespaces():
    def enter(path):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.readlink(path) == os.readlink("/proc/self/ns/" + os.path.basename(path)):
                raise Refused("the same")
            checked(libc.setns(handle, 0), path)
        finally:
            os.close(handle)

    kinds = ("user", "mnt", "net", "pid", "uts", "ipc", "cgroup")
    paths = ["/proc/%d/ns/%s" % (pid, kind) for pid in pids() for kind in kinds]
    return any_of((path, lambda path=path: enter(path)) for path in paths)


@probe
def leave_chroot():
    """The old way: a folder deeper, then up (chroot(2))."""
    before = sorted(os.listdir("/"))
    info = os.stat("/")
    folder = tempfile.mkdtemp(prefix="escape-")
    above = os.open(os.path.dirname(folder), os.O_RDONLY)
    try:
        os.chroot(folder)
    finally:
        os.rmdir(os.path.basename(folder), dir_fd=above)
        os.close(above)  # a way out that this probe does not mean
    for _ in range(64):
        os.chdir("..")
    os.chroot(".")
    now = os.stat("/")
    if (now.st_dev, now.st_ino) == (info.st_dev, info.st_ino) or sorted(os.listdir("/")) == before:
        raise Refused("still the same root")
    return sorted(os.listdir("/"))


@probe
def inherit_handles():
    """Handles that were left open and lead out: folders, devices, sockets."""
    found = []
    for pid in {os.getpid(), FIRST}:
        for name in os.listdir("/proc/%d/fd" % pid):
            if int(name) <= 2:
                continue
            try:
                mode = os.stat("/proc/%d/fd/%s" % (pid, name)).st_mode
                target = os.readlink("/proc/%d/fd/%s" % (pid, name))
            except OSError:
                continue
            if (
                (stat.S_ISDIR(mode) and not target.startswith("/proc"))
                or stat.S_ISSOCK(mode)
                or stat.S_ISBLK(mode)
            ):
                found.append(target)
    if not found:
        raise Refused("none")
    return found


# --- files of the machine


@probe
def read_file():
    """A file of the machine that the facts name."""

    def read(path):
        with open(path, "rb") as stream:
            stream.read(1)

    wanted = FACTS["file"]
    roots = ["", *("/proc/%d/%s" % (pid, way) for pid in pids() for way in ("root", "cwd"))]
    return any_of((root + wanted, lambda root=root: read(root + wanted)) for root in roots)


@probe
def write_file():
    wanted = FACTS["file"]
    roots = ["", *("/proc/%d/root" % pid for pid in pids())]
    return any_of((root + wanted, lambda root=root: opened(root + wanted)) for root in roots)


@probe
def write_store():
    """New names in the store, and files that are there."""
    places = [
        folder for folder in {"/nix/store", FACTS.get("store") or "/nix/store"} if os.path.isdir(folder)
    ]

    def make(folder):
        path = os.path.join(folder, "escape-%d" % os.getpid())
        os.mkdir(path)
        os.rmdir(path)

    def change(folder):
        for count, path in enumerate(files(folder)):
            try:
                return opened(path)
            except OSError:
                if count > 2000:
                    break
        raise Refused("read-only")

    return any_of(
        (what.__name__ + " " + place, lambda what=what, place=place: what(place))
        for place in places
        for what in (make, change)
    )


# --- other processes


@probe
def signal_strangers():
    return any_of(("%d" % pid, lambda pid=pid: os.kill(pid, 0)) for pid in strangers())


@probe
def signal_machine():
    """A process of the machine, by the number that it has there."""
    pid = FACTS["pid"]
    os.kill(pid, 0)
    with open("/proc/%d/cmdline" % pid, "rb") as stream:
        if not stream.read().startswith(FACTS["pid_says"].encode()):
            raise Refused("another process has that number here")
    return pid


@probe
def trace_strangers():
    def trace(pid):
        checked(libc.ptrace(PTRACE_SEIZE, pid, None, None), str(pid))
        libc.ptrace(PTRACE_DETACH, pid, None, None)

    return any_of(("%d" % pid, lambda pid=pid: trace(pid)) for pid in strangers())


@probe
def read_strangers():
    """Memory and environment."""
    return any_of(
        (
            "/proc/%d/%s" % (pid, name),
            lambda pid=pid, name=name: opened("/proc/%d/%s" % (pid, name), os.O_RDONLY),
        )
        for pid in strangers()
        for name in ("mem", "environ")
    )


@probe
def fork_without_end():
    """Processes until there are as many as the facts name."""
    limit, children = FACTS["processes"], []
    try:
        for _ in range(limit):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
    except OSError as error:
        raise Refused("%s after %d" % (error.strerror, len(children)))
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)
    return limit


@probe
def share_memory():
    """System V and POSIX objects of others."""

    def rows(name):
        with open("/proc/sysvipc/" + name) as stream:
            if len(stream.readlines()) < 2:
                raise Refused("none")

    return any_of((name, lambda name=name: rows(name)) for name in ("shm", "sem", "msg"))


# --- network


@probe
def reach_network():
    """A port of the machine's loopback."""
    with socket.create_connection(("127.0.0.1", FACTS["port"]), timeout=5):
        return "connected"


@probe
def reach_abstract_socket():
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect("\0" + FACTS["abstract"])
    return "connected"


@probe
def see_abstract_sockets():
    with open("/proc/net/unix") as stream:
        if "@" + FACTS["abstract"] not in stream.read():
            raise Refused("not listed")
    return "listed"


@probe
def see_interfaces():
    found = [
        name
        for _, name in socket.if_nameindex()
        if name
        not in (
            "lo",
            "tunl0",
            "gre0",
            "gretap0",
            "erspan0",
            "sit0",
            "ip6tnl0",
            "ip_vti0",
            "ip6_vti0",
            "ip6gre0",
            "bond0",
            "dummy0",
        )
    ]
    if not found:
        raise Refused("none but the loopback")
    return found


@probe
def open_odd_sockets():
    wanted = {
        "packet": (17, socket.SOCK_RAW),
        "raw": (socket.AF_INET, socket.SOCK_RAW),
        "vsock": (40, socket.SOCK_STREAM),
    }

    def make(name):
        family, kind = wanted[name]
        socket.socket(family, kind, 1 if name == "raw" else 0).close()

    return any_of((name, lambda name=name: make(name)) for name in wanted)


# --- system calls that containers do without (Docker's default profile; numbers are x86-64's and AArch64's)


CALLS = {
    "acct": ((163, 89), -1), "add_key": ((248, 217), 0, 0, 0, 0, 0), "bpf": ((321, 280), 0, 0, 0), "clock_adjtime": ((305, 266), -1, 0),
    "clock_settime": ((227, 112), -1, 0), "delete_module": ((176, 106), 0, 0), "fanotify_init": ((300, 262), 0, 0),
    "finit_module": ((313, 273), -1, 0, 0), "fsopen": ((430, 430), 0, 0), "fsmount": ((432, 432), -1, 0, 0),
    "fspick": ((433, 433), -1, 0, 0), "init_module": ((175, 105), 0, 0, 0), "io_uring_setup": ((425, 425), 0, 0),
    "ioperm": ((173, None), 1 << 20, 1, 1), "iopl": ((172, None), 4), "kexec_load": ((246, 104), 0, 0, 0, -1),
    "keyctl": ((250, 219), 0, -3, 0), "lookup_dcookie": ((212, 18), 0, 0, 0), "mount": ((165, 40), 0, 0, 0, 0, 0),
    "mount_setattr": ((442, 442), -1, 0, 0, 0, 0), "move_mount": ((429, 429), -1, 0, -1, 0, 0),
    "open_by_handle_at": ((304, 265), -1, 0, 0), "open_tree": ((428, 428), -1, 0, 0), "perf_event_open": ((298, 241), 0, 0, -1, -1, 0),
    "pivot_root": ((155, 41), 0, 0), "quotactl": ((179, 60), 0, 0, 0, 0), "reboot": ((169, 142), 0, 0, 0, 0),
    "request_key": ((249, 218), 0, 0, 0, 0), "setdomainname": ((171, 162), 0, -1), "sethostname": ((170, 161), 0, -1),
    "setns": ((308, 268), -1, 0), "settimeofday": ((164, 170), -1, 0), "swapoff": ((168, 225), 0), "swapon": ((167, 224), 0, 0),
    "umount2": ((166, 39), 0, 0), "unshare": ((272, 97), NEWUTS), "userfaultfd": ((323, 282), 0), "vhangup": ((153, 58),),
}  # fmt: skip
"""By name, numbers and arguments that are wrong: what is allowed complains about them (EINVAL, EFAULT, EBADF)."""


@probe
def call_kernel():
    def call(name):
        numbers, *arguments = CALLS[name]
        number = numbers[COLUMN]
        if number is None:
            raise Refused("this processor has no such call")
        try:
            syscall(number, *arguments)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOSYS, errno.EACCES, errno.ENOPKG):
                raise

    # vhangup would end a terminal's session where it is allowed.
    return any_of((name, lambda name=name: call(name)) for name in CALLS if name != "vhangup")


@probe
def old_calls():
    """32-bit system calls, which a filter of 64-bit numbers does not see: ask for a user namespace with one."""
    import mmap

    if COLUMN:
        raise Refused("64-bit programs of this processor make none")
    code = (
        b"\x53"  # push rbx
        b"\xb8\x36\x01\x00\x00"  # mov eax, 310 (unshare)
        b"\xbb\x00\x00\x00\x10"  # mov ebx, CLONE_NEWUSER
        b"\xcd\x80"  # int 0x80
        b"\x5b\xc3"  # pop rbx; ret
    )
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
    result = function()
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return "unshare"


# --- rights


@probe
def hold_capabilities():
    """More than Docker's containers do."""
    held = [
        key for key in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh") if int(STATE[key], 16) & ~DOCKERS
    ]
    if not held:
        raise Refused("none")
    return ["%s %s" % (key, STATE[key]) for key in held]


@probe
def gain_privileges():
    """Programs with setuid bits count."""
    if STATE["NoNewPrivs"] == "1":
        raise Refused("no_new_privs")
    return "no_new_privs is not set"


@probe
def go_unfiltered():
    if STATE["Seccomp"] != "0":
        raise Refused("filtered")
    return "no seccomp filter"


@probe
def dump_core():
    if not resource.getrlimit(resource.RLIMIT_CORE)[1]:
        raise Refused("the limit is 0")
    return "RLIMIT_CORE"


@probe
def be_more_important():
    def nice():
        os.setpriority(os.PRIO_PROCESS, 0, -5)

    def realtime():
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))

    def survive():
        with open("/proc/self/oom_score_adj", "r+") as stream:
            stream.write("-900")

    return any_of([("nice", nice), ("realtime", realtime), ("oom_score_adj", survive)])


def state():
    with open("/proc/self/status") as stream:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)
    wanted = (
        "Uid",
        "Gid",
        "Groups",
        "NoNewPrivs",
        "Seccomp",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
    )
    return {key: lines[key].strip() for key in wanted if key in lines}


def shortened(detail):
    if isinstance(detail, list) and len(detail) > OPENED:
        return [*detail[:OPENED], "and %d more" % (len(detail) - OPENED)]
    return detail


def main(arguments):
    global FACTS, FIRST, STATE
    FACTS = json.loads(arguments[0]) if arguments else {}
    FIRST, STATE = os.getpid(), state()
    worked, refused = {}, {}
    for name in arguments[1:] or PROBES:
        try:
            worked[name] = shortened(in_child(PROBES[name]))
        except KeyError:
            continue  # the facts do not tell what it needs
        except Exception as error:  # noqa: BLE001 - no probe may keep the others from running
            refused[name] = str(error)
    print(
        "ESCAPE " + json.dumps({"worked": worked, "refused": refused, "state": STATE}, sort_keys=True),
        flush=True,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
