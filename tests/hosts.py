"""Machines to try things on: freshly installed Debian systems, each in namespaces of its own on this one.

:func:`bootstrap` installs a root file system once and keeps it; :class:`Host` runs commands in it as a
machine of its own would. It is no chroot, in which the kernel refuses user namespaces: the root is the mount
namespace's own. All of it needs to be root, debootstrap and the Debian archive that this machine's apt uses.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from cog_nix_hooks.debian.settings import DebianSettings
from cog_nix_hooks.debian.sources import find_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Cgroups = Literal["v1", "both", "v2"]
"""How cgroups are mounted: the controllers of version 1, these and version 2 beside them in ``unified``, or
version 2 alone."""

USER = "ada"
"""A plain user that every machine has; her home folder is ``/home/ada``."""
PLAIN = ("bookworm", ("make", "python3-venv"))
"""What :func:`bootstrap` is asked for where a machine has no more than Python."""
DEBIANS_OWN = (
    *("/etc/apt", "/usr/share/keyrings", "/var/lib/apt"),
    *(f"/usr/bin/{name}" for name in ("apt-get", "dpkg", "dpkg-deb", "gpg", "gpgv", "perl", "xz")),
)
"""What other systems do not have."""
_UID = 1000
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CERTIFICATES = "/etc/certificates-of-the-machine-below.pem"
_CERTIFICATE_VARIABLES = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NIX_SSL_CERT_FILE",
)
_HANDED_ON = ("PIP_", "UV_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "COG_NIX_DEBIAN_")
"""Beginnings of variables, in either case, that tell where this machine's network and indexes are."""
_WRITTEN = ("home", "root", "tmp", "var/tmp", "var/lib/docker", "var/lib/containers")
"""Folders that do not lie on overlayfs, as on no machine they do: a container's files can't lie there."""

MOUNT_CGROUPS = r"""
mount_cgroups() {
  if [ "$1" = v2 ]; then
    mount -t cgroup2 cgroup2 "$2"
    return
  fi
  mount -t tmpfs -o mode=755 tmpfs "$2"
  # A controller that version 2 has taken, or that is off, has no hierarchy of its own (proc(5)).
  for name in $(awk '$2 != 0 && $1 !~ /^#/ { print $1 }' /proc/cgroups); do
    mkdir "$2/$name"
    mount -t cgroup -o "$name" cgroup "$2/$name"
  done
  mkdir "$2/systemd"
  mount -t cgroup -o none,name=systemd cgroup "$2/systemd"
  [ "$1" = both ] || return 0
  mkdir "$2/unified"
  mount -t cgroup2 cgroup2 "$2/unified"
}
"""
"""A shell function that mounts cgroups: of :data:`Cgroups`, and the folder."""

_ENTER = f"""set -e
{MOUNT_CGROUPS}
root=$1
mount -t overlay overlay -o "volatile,lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$root"
for name in $4; do mkdir -p "$root/$name"; mount --bind "$3/plain/$name" "$root/$name"; done
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount_cgroups "$5" "$root/sys/fs/cgroup"
[ "$6" = shared ] || ip link set lo up
shift 6
while [ "$#" -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; touch "$root$2"; fi
  mount --rbind "$1" "$root$2"
  [ "$3" = writable ] || mount -o remount,bind,ro "$root$2"
  shift 3
done
cd "$root"
pivot_root . .
umount -l .
cd /
echo ready
exec sleep infinity
"""


# On an overlay that is never synced: dpkg's fsync(2) takes most of the time otherwise.
_INSTALL = r"""
set -e
cd "$1"
mkdir lower root work merged
mount -t overlay overlay -o volatile,lowerdir=lower,upperdir=root,workdir=work merged
shift
exec "$@"
"""


@dataclass(frozen=True)
class Root:
    """An installed root file system: folders that overlayfs lays over each other, from bottom to top."""

    layers: tuple[Path, ...]


def kept() -> Path:
    """Return a folder of this user's alone below the system's temporary one, which outlives a test session.

    Raises:
        PermissionError: somebody else has made it.
    """
    folder = Path(tempfile.gettempdir(), f"cog-nix-hosts-{os.geteuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is not this user's own")
    return folder


def bootstrap(suite: str, packages: Sequence[str] = (), folder: Path | None = None) -> Root:
    """Install Debian's essential packages and apt, and ``packages`` with what they depend on.

    Args:
        suite: ``bookworm``.
        packages: of the suite; without what they recommend.
        folder: where it is kept; None: :func:`kept`.

    Returns:
        The root, at once when it has been made before.
    """
    folder = folder or kept()
    mirror = find_archive(DebianSettings(), os.environ).main
    base = _once(folder, f"{suite} {mirror}", lambda new: _debootstrap(suite, mirror, new))
    root = Root((base,))
    if not packages:
        return root
    wanted = sorted(packages)
    added = _once(folder, f"{suite} {mirror} {' '.join(wanted)}", lambda new: _add(root, wanted, new))
    return Root((base, added))


def _once(folder: Path, what: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that ``make`` has filled, now or earlier."""
    key = hashlib.sha256(what.encode()).hexdigest()[:16]
    done = folder / f"{what.split(maxsplit=1)[0]}-{key}"
    with (folder / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
            try:
                make(new)
                (new / "root").rename(done)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    return done


def _debootstrap(suite: str, mirror: str, new: Path) -> None:
    (new.parent / "debs").mkdir(exist_ok=True)
    command = ["unshare", "--mount", "sh", "-c", _INSTALL, "sh", str(new), "debootstrap", "--variant=minbase"]
    command += [f"--cache-dir={new.parent / 'debs'}", suite, str(new / "merged"), mirror]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    said = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    network = [line for line in said.splitlines() if line.startswith("Acquire::")]
    (new / "root/etc/apt/apt.conf.d/99machine-below").write_text("\n".join((*network, "")))


def _add(root: Root, packages: Sequence[str], new: Path) -> None:
    with Host(root, new / "host") as host:
        host.check(["apt-get", "-qq", "update"])
        host.check(["apt-get", "-qq", "-y", "install", "--no-install-recommends", *packages], timeout=600)
        host.check(["rm", "-rf", "/var/lib/apt/lists", "/etc/resolv.conf", _CERTIFICATES])
        host.check(["apt-get", "clean"])
    (new / "host/upper").rename(new / "root")


@dataclass
class Host:
    """A running machine: use it as a context. What is written in it stays in ``folder``.

    Its processes and mounts are its own, and end with it.
    """

    root: Root
    folder: Path
    """Empty, on a file system that overlayfs can write to."""
    cgroups: Cgroups = "v2"
    own_network: bool = False
    """Nothing but a loopback interface of its own; otherwise this machine's network."""
    binds: Mapping[str, Path] = field(default_factory=dict)
    """Files and folders of this machine that it sees, and can write to, by their paths there."""
    sudo: bool = False
    """Whether :data:`USER` may do everything; ``sudo`` has to be in the root."""
    groups: tuple[int, ...] = ()
    """Groups that :data:`USER` is in beside her own."""
    _init: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        for name in ("upper", "work", "merged"):
            (self.folder / name).mkdir(parents=True)
        for name in _WRITTEN:
            (self.folder / "plain" / name).mkdir(parents=True)
        for name in ("tmp", "var/tmp"):
            (self.folder / "plain" / name).chmod(0o1777)
        home = self.folder / "plain/home" / USER
        home.mkdir()
        os.chown(home, _UID, _UID)
        self._write_files()
        mounts = [(path, target, "writable") for target, path in self.binds.items()]
        mounts += [(path, str(path), "readable") for path in map(Path, _find_links()) if path.is_dir()]
        lower = ":".join(map(str, reversed(self.root.layers)))
        network = ["--net"] if self.own_network else []
        command = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            *network,
            "sh",
            "-c",
            _ENTER,
            "sh",
        ]
        command += [str(self.folder / "merged"), lower, str(self.folder), " ".join(_WRITTEN), self.cgroups]
        command += [
            "own" if self.own_network else "shared",
            *(str(word) for mount in mounts for word in mount),
        ]
        self._init = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self._init.stdout is not None
        if self._init.stdout.readline() != "ready\n":
            self.__exit__()
            raise AssertionError(f"the machine {self.folder} did not come up; what mount said is above")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._init:
            self._init.kill()
            self._init.wait()
            assert self._init.stdout is not None
            self._init.stdout.close()

    def _write_files(self) -> None:
        """Write what an installer would have asked for: users, names of hosts, certificates."""
        for name, line in (
            ("passwd", f"{USER}:x:{_UID}:{_UID}::/home/{USER}:/bin/bash\n"),
            ("group", f"{USER}:x:{_UID}:\n"),
            ("shadow", f"{USER}:*:20000:0:99999:7:::\n"),
        ):
            below = next(
                path for layer in reversed(self.root.layers) if (path := layer / "etc" / name).exists()
            )
            text = below.read_text()
            self.write(f"/etc/{name}", text if line in text else text + line)
        for name in ("resolv.conf", "hosts", "pip.conf"):
            if Path("/etc", name).exists():
                self.write(f"/etc/{name}", Path("/etc", name).read_text())
        if bundle := next(filter(None, map(os.environ.get, _CERTIFICATE_VARIABLES)), None):
            self.write(_CERTIFICATES, Path(bundle).read_text())
        if self.sudo:
            self.write("/etc/sudoers.d/machine", f"{USER} ALL=(ALL) NOPASSWD: ALL\n", mode=0o440)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the machine that is about to start."""
        file = self.folder / "upper" / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def environment(self, user: str) -> dict[str, str]:
        """Return what a login of this user has, and how this machine reaches the network."""
        handed = {key: value for key, value in os.environ.items() if key.upper().startswith(_HANDED_ON)}
        if any(map(os.environ.get, _CERTIFICATE_VARIABLES)):
            handed |= dict.fromkeys(_CERTIFICATE_VARIABLES, _CERTIFICATES)
        home = "/root" if user == "root" else f"/home/{user}"
        return {**handed, "PATH": _PATH, "HOME": home, "USER": user, "LOGNAME": user, "LANG": "C.UTF-8"}

    def command(
        self,
        command: Sequence[str],
        *,
        user: str = "root",
        cwd: str = "",
        env: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Return the command of this machine that runs ``command`` in it."""
        assert self._init is not None, "the machine does not run"
        first = int(Path(f"/proc/{self._init.pid}/task/{self._init.pid}/children").read_text().split()[0])
        variables = {**self.environment(user), **(env or {})}
        enter = ["nsenter", f"--target={first}", "--mount", "--pid", "--net", "env", "-i"]
        enter += [f"{key}={value}" for key, value in variables.items()]
        if user != "root":
            groups = ",".join(map(str, (_UID, *self.groups)))
            enter += ["setpriv", f"--reuid={_UID}", f"--regid={_UID}", f"--groups={groups}"]
        script = f"cd {shlex.quote(cwd or variables['HOME'])} && exec {shlex.join(command)}"
        return [*enter, "sh", "-c", script]

    def run(
        self,
        command: Sequence[str],
        *,
        user: str = "root",
        cwd: str = "",
        env: Mapping[str, str] | None = None,
        timeout: float = 600,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its status is.

        Args:
            command: program and arguments.
            user: ``root`` or :data:`USER`.
            cwd: where it starts; the home folder otherwise.
            env: variables beside those of a login.
            timeout: seconds.
        """
        return subprocess.run(
            self.command(command, user=user, cwd=cwd, env=env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def check(self, command: Sequence[str], **how: Any) -> str:
        """Run a command that has to succeed; return its stdout. Takes what :meth:`run` takes."""
        done = self.run(command, **how)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def strip(host: Host) -> None:
    """Remove from a running machine what tells that it is Debian: its packages' tools, mirrors and keys."""
    host.check(["rm", "-rf", *DEBIANS_OWN])


def _find_links() -> list[str]:
    return [word for word in os.environ.get("PIP_FIND_LINKS", "").split() if word.startswith("/")]
