"""What forbids namespaces, and what is said of it: one sentence, one command."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cog_nix import namespaces
from cog_nix.namespaces.causes import Failure, explain
from cog_nix.namespaces.surroundings import Surroundings

ROOT = Path(__file__).parents[2]
ASKED = (
    "from cog_nix.namespaces import why_no_namespaces\n"
    "obstacle = why_no_namespaces()\n"
    "print(f'{obstacle.cause}\\n{obstacle.remedy}' if obstacle else 'none')"
)
"""A program that prints the cause and the remedy."""

APPARMOR = "proc/sys/kernel/apparmor_restrict_unprivileged_userns"
CLONE = "proc/sys/kernel/unprivileged_userns_clone"
LIMIT = "proc/sys/user/max_user_namespaces"
STATUS = "proc/self/status"
MOUNTS = "proc/self/mountinfo"
FILTERED = {STATUS: "Name:\tx\nSeccomp:\t2\n"}
WHOLE = {MOUNTS: "1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n"}
MASKED = {MOUNTS: "1 0 0:1 / / rw - overlay a rw\n2 1 0:2 /kcore /proc/kcore rw - tmpfs x rw\n"}
DOCKER = {".dockerenv": "", **FILTERED, **MASKED}
PODMAN = {"run/.containerenv": "", **FILTERED, **MASKED}


def surroundings(folder: Path, files: dict[str, str], *, user: int = 1000, pod: bool = False) -> Surroundings:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Surroundings(folder, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"} if pod else {}, user)


@pytest.mark.parametrize(
    ("failure", "files", "cause", "remedy"),
    [
        pytest.param(
            Failure("map", errno.EPERM),
            {APPARMOR: "1\n", **WHOLE},
            "setting",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
            id="ubuntu-24",
        ),
        pytest.param(
            Failure("mount", errno.EACCES),
            {APPARMOR: "1\n", CLONE: "1\n", **WHOLE},
            "setting",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
            id="ubuntu-with-both-settings",
        ),
        pytest.param(
            Failure("user", errno.EPERM),
            {CLONE: "0\n", **WHOLE},
            "setting",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
            id="older-debian",
        ),
        pytest.param(
            Failure("user", errno.ENOSPC),
            {LIMIT: "0\n", **WHOLE},
            "setting",
            "sudo sysctl -w user.max_user_namespaces=15000",
            id="none-left",
        ),
        pytest.param(
            Failure("user", errno.EPERM),
            {LIMIT: "0\n", **DOCKER},
            "setting",
            "On the machine that runs this container:  sudo sysctl -w user.max_user_namespaces=15000",
            id="none-left-for-containers",
        ),
        pytest.param(
            Failure("user", errno.EPERM),
            DOCKER,
            "filter",
            "Start the container so:  "
            "docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined …",
            id="docker",
        ),
        pytest.param(
            Failure("proc", errno.EPERM),
            {".dockerenv": "", STATUS: "Seccomp:\t0\n", **MASKED},
            "masked-proc",
            "Start the container so:  "
            "docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined …",
            id="docker-without-its-filter",
        ),
        pytest.param(
            Failure("mount", errno.EACCES),
            {"proc/self/attr/apparmor/current": "docker-default (enforce)\n", **DOCKER},
            "mount-rules",
            "Start the container so:  docker run --security-opt seccomp=unconfined "
            "--security-opt systempaths=unconfined --security-opt apparmor=unconfined …",
            id="docker-with-apparmor",
        ),
        pytest.param(
            Failure("proc", errno.EPERM),
            PODMAN,
            "masked-proc",
            "Start the container so:  podman run --security-opt unmask=ALL …",
            id="podman",
        ),
        pytest.param(
            Failure("user", errno.EPERM),
            {".dockerenv": "", **FILTERED, **WHOLE},
            "filter",
            "Start the container so:  "
            "docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined …",
            id="docker-with-all-of-proc",
        ),
        pytest.param(
            Failure("user", errno.EPERM),
            {".dockerenv": "", STATUS: "Seccomp:\t0\n", **WHOLE},
            "unknown",
            "Run it as another user, or on another machine.",
            id="a-machine-that-was-an-image",
        ),
        pytest.param(
            Failure("user", errno.EPERM),
            {MOUNTS: "1 0 0:1 /root/home /home rw - ext4 a rw\n"},
            "chroot",
            "Leave the chroot, or enter it as containers do: with pivot_root in a mount namespace.",
            id="chroot",
        ),
        pytest.param(
            Failure("user", errno.EPERM),
            {**FILTERED, **WHOLE},
            "filter",
            "Run it outside of that service or sandbox (systemd's RestrictNamespaces= is such a filter).",
            id="service",
        ),
        pytest.param(
            Failure("proc", errno.EPERM),
            MASKED,
            "masked-proc",
            "Run it outside of that sandbox, or let the sandbox leave /proc as it is.",
            id="sandbox",
        ),
        pytest.param(
            Failure("user", errno.EINVAL),
            WHOLE,
            "kernel",
            "Use a kernel that is built with CONFIG_USER_NS.",
            id="small-kernel",
        ),
    ],
)
def test_causes(failure: Failure, files: dict[str, str], cause: str, remedy: str, tmp_path: Path) -> None:
    obstacle = explain(failure, surroundings(tmp_path, files))
    assert (obstacle.cause, obstacle.remedy) == (cause, remedy)
    assert obstacle.message.startswith("Builds and containers run in user namespaces, ")
    assert obstacle.message.endswith(".")


def test_a_pod_is_told_what_pods_are_given(tmp_path: Path) -> None:
    obstacle = explain(Failure("user", errno.EPERM), surroundings(tmp_path, {**FILTERED, **MASKED}, pod=True))
    assert "procMount: Unmasked" in obstacle.remedy
    assert "hostUsers: false" in obstacle.remedy


def test_what_forbids_plain_users_does_not_forbid_root(tmp_path: Path) -> None:
    where = surroundings(tmp_path, {CLONE: "0\n", **FILTERED, **WHOLE}, user=0)
    assert explain(Failure("user", errno.EPERM), where).cause == "filter"


def test_this_machine_can_make_them() -> None:
    assert namespaces.why_no_namespaces() is None


def limited(script: str) -> str:
    """Run a script of the shell in a user namespace in which no more can be made; return what it says."""
    command = ["unshare", "--user", "--map-root-user", "sh", "-ec", f"echo 0 > /{LIMIT}; {script}", "sh"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, sys.executable, ASKED], env=env, capture_output=True, text=True, check=True
    ).stdout


def test_a_limit_that_is_reached_and_raised() -> None:
    """The remedy is run, as far as it is one: the setting is the namespace's own, so nothing else sees it."""
    cause, remedy = limited('"$1" -c "$2"').splitlines()
    assert cause == "setting"
    sysctl, _, assignment = remedy.removeprefix("sudo ").rpartition(" ")
    assert sysctl == "sysctl -w"
    name, _, value = assignment.partition("=")
    path = f"/proc/sys/{name.replace('.', '/')}"
    assert limited(f'echo {value} > {path}; "$1" -c "$2"') == "none\n"
