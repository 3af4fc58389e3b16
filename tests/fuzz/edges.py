"""What comes over the edges of the program: flags, variables, streams, and what other programs say."""

from __future__ import annotations

import os
import struct
from base64 import b64encode
from types import SimpleNamespace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from cog_nix.cdi.machine import Machine
from cog_nix.check import sse
from cog_nix.cli import exec as exec_command
from cog_nix.cli import serve
from cog_nix.fetch import git as fetched_git
from cog_nix.namespaces.surroundings import Surroundings
from cog_nix.plugins.spec import Streams
from cog_nix.project import git
from cog_nix.registry import credentials
from cog_nix.run_commands import secrets
from cog_nix.system import jsonvalue, scratch
from cog_nix.system.keys import KEY_VARIABLE, PublicKeys, SecretKey
from cog_nix.system.processes import Finished, ProcessError
from cog_nix_hooks.bundle import cgroups
from cog_nix_hooks.docker import attach, endpoint, failures, podman, sdk, ssh
from cog_nix_hooks.nvidia import checks
from cog_nix_hooks.pypi import commits, explain, lines
from tests.fuzz.mutations import contents, encoded, json_texts, texts
from tests.fuzz.parser import Parser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# --- flags and variables

_PORTS = texts("8000", "0.0.0.0:8000", "[::1]:8000", "::1:80")
_SECRETS = texts("id=a,src=/etc/hostname", "id=a,env=HOME", 'type=file,"id=a",source=b', "id=HOME")


def _secret(text: str, folder: Path) -> object:
    environment = {"HOME": "x"}
    return [one.read(environment) for one in secrets.parse([text], folder, environment).values()]


def _host(text: str, _: Path) -> object:
    serve._check_address(text)
    return serve.target(text, 8000), serve.serving_at(text, 8000)


def _daemon(text: str, folder: Path) -> object:
    found = endpoint.find_endpoint({"DOCKER_HOST": text, "HOME": str(folder)})
    if found.host.startswith("ssh://"):
        return ssh.ssh_command(found.host, folder)
    return failures.UnreachableError(found, OSError("no")), found.socket_path


FLAGS = (
    Parser("--publish", ("cog_nix/cli",), _PORTS, lambda text, _: exec_command.parse_port(text)),
    Parser("--host", ("cog_nix/cli",), texts("127.0.0.1", "::", "10.0.0.1"), _host),
    Parser("--secret", ("cog_nix/run_commands/secrets",), _SECRETS, _secret),
    Parser(
        "DOCKER_HOST",
        ("hooks/cog_nix_hooks/docker/endpoint", "hooks/cog_nix_hooks/docker/ssh"),
        texts("ssh://me@host.example.org:22", "unix:///run/docker.sock", "tcp://127.0.0.1:2375"),
        _daemon,
        refuses=(ValueError,),  # which becomes an error of ours where it is asked
    ),
)

# --- streams

_EVENTS = texts(
    'event: output\ndata: "a"\n\n: alive\n\nid: 1\nretry: 5\ndata: {"a":\ndata: 1}\n\n',
    "data: null\r\n\r\ndata: [1]\r\rdata: 2\n\n",
)
_FRAMES = b"".join(
    struct.pack(">BxxxL", number, len(body)) + body for number, body in ((1, b"out"), (2, b"err\n"), (0, b""))
)


class _Connection:
    """A connection that brings these bytes, a few at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def recv(self, most: int) -> bytes:
        """Return some."""
        assert most <= 1 << 20  # that much is set aside for it
        size = min(most, 5)
        part, self._data = self._data[:size], self._data[size:]
        return part

    def shutdown(self, _: int) -> None:
        """End it."""


def _attached(drawn: tuple[bytes, bool], _: Path) -> object:
    attachment = attach.Attachment.__new__(attach.Attachment)
    attachment._socket, attachment._tty = _Connection(drawn[0]), drawn[1]
    attachment.copied, attachment.torn = {"stdout": 0, "stderr": 0}, False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        attachment.copy(Streams(None, nowhere, nowhere))
    finally:
        os.close(nowhere)
    return attachment.copied


STREAMS = (
    Parser(
        "server-sent events",
        ("cog_nix/check/sse",),
        _EVENTS,
        lambda text, _: sse.parse(text),
        refuses=(ValueError,),
    ),
    Parser(
        "a container's streams",
        ("hooks/cog_nix_hooks/docker/attach",),
        st.tuples(contents(_FRAMES), st.booleans()),
        _attached,
    ),
)

# --- what other programs say

_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_GIT_URLS = texts(
    f"git+https://u:p@host.example.org/me/a@{_COMMIT}#subdirectory=b",
    f"git+ssh://git@host.example.org:22/a.git@{_COMMIT}",
)
_GIT_SAYS = texts(f"fatal: reference is not a tree: {_COMMIT}\n", "fatal: could not read Username\n")
_UV_SAYS = texts(
    "  x No solution found when resolving dependencies:\n  `-> Because you require a==2 and b depends on "
    "a<2, we can conclude that your requirements are unsatisfiable.\n",
    "error: Failed to fetch: `https://host.example.org/simple/a/`\n  Caused by: HTTP status 401\n",
    "  x Failed to build `a==1`\n  |-> The build backend returned an error\n   [stderr]\n      KeyError: 1\n",
)


def _said(text: str) -> Finished:
    return Finished(("program",), 0, text, text)


def _head(text: str, folder: Path) -> object:
    former = git.run  # type: ignore[attr-defined]
    git.run = lambda *_args, **_options: _said(text)  # type: ignore[attr-defined]
    try:
        (folder / ".git").mkdir()
        return git.labels(folder)
    finally:
        git.run = former  # type: ignore[attr-defined]


def _git_failure(text: str, folder: Path) -> object:
    checkout = fetched_git._Checkout(folder, "https://host.example.org/a", _COMMIT, {})
    return str(checkout._explained(ProcessError(_said(text))))


def _git_url(text: str, _: Path) -> object:
    kept = commits.keep(lines.parse([text], "requirements.txt", {}), {})
    repository, commit = fetched_git.split(text)
    return kept, fetched_git.public(repository), commit


def _git_configured(text: str, folder: Path) -> object:
    former = os.environ.get("GIT_CONFIG_COUNT")
    os.environ["GIT_CONFIG_COUNT"] = encoded(text).replace(b"\0", b"").decode("utf-8", "surrogateescape")
    try:
        return fetched_git._Checkout(folder, "https://u:p@host.example.org/a", _COMMIT, {})._env
    finally:
        os.environ.pop("GIT_CONFIG_COUNT")
        if former is not None:
            os.environ["GIT_CONFIG_COUNT"] = former


def _helper(text: str, folder: Path) -> object:
    (folder / "config.json").write_text('{"credsStore": "x"}')
    former = credentials.run  # type: ignore[attr-defined]
    credentials.run = lambda *_args, **_options: _said(text)  # type: ignore[attr-defined]
    try:
        return credentials.find("r.example.org", {"DOCKER_CONFIG": str(folder), "PATH": "/nowhere"})
    finally:
        credentials.run = former  # type: ignore[attr-defined]


def _nvidia_smi(text: str, _: Path) -> object:
    former = checks.run  # type: ignore[attr-defined]
    checks.run = lambda *_args, **_options: _said(text)  # type: ignore[attr-defined]
    try:
        return checks.compute_capabilities()
    finally:
        checks.run = former  # type: ignore[attr-defined]


def _podman(drawn: tuple[str, str], _: Path) -> object:
    said: Iterator[str] = iter([*drawn, "{}"])

    def answer(*_: object) -> object:
        return jsonvalue.loads(encoded(next(said)))

    client = SimpleNamespace(version=answer, info=answer, inspect_network=answer, close=lambda: None)
    with sdk.asking(client, endpoint.Endpoint("unix:///nowhere")):  # type: ignore[arg-type]
        return podman.this_machine(client)  # type: ignore[arg-type]


PROGRAMS = (
    Parser(
        "git's description", ("cog_nix/project/git",), texts(f"true\n{_COMMIT}\n", "v1.0-2-gabc-dirty"), _head
    ),
    Parser("git's failure", ("cog_nix/fetch",), _GIT_SAYS, _git_failure),
    Parser("git's URL", ("cog_nix/fetch", "hooks/cog_nix_hooks/pypi/commits"), _GIT_URLS, _git_url),
    Parser("GIT_CONFIG_COUNT", ("cog_nix/fetch",), texts("1", "0"), _git_configured),
    Parser(
        "uv's failure",
        ("hooks/cog_nix_hooks/pypi/explain",),
        _UV_SAYS,
        lambda text, _: str(explain.explain(text, asked_in="requirements.txt", python_version="3.13")),
    ),
    Parser(
        "a credential helper's answer",
        ("cog_nix/registry",),
        json_texts({"ServerURL": "r.example.org", "Username": "a", "Secret": "b"}),
        _helper,
    ),
    Parser(
        "nvidia-smi's list",
        ("hooks/cog_nix_hooks/nvidia/checks",),
        texts("9.0\n8.6\n", "[N/A]\n"),
        _nvidia_smi,
    ),
    Parser(
        "Podman's answers",
        ("hooks/cog_nix_hooks/docker/podman",),
        st.tuples(
            json_texts({"Version": "4.3.1"}, {"Version": "5.4.2-rc1"}),
            json_texts(
                {"SecurityOptions": ["name=rootless"]}, {"IPAM": {"Config": [{"Gateway": "10.88.0.1"}]}}
            ),
        ),
        _podman,
    ),
)

# --- the kernel, and files of ours in places that others can write to

_MOUNTS = (
    "25 30 0:23 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n"
    "26 30 0:24 /a\\040b /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
)
_INFORMATION = "Model: \t\t NVIDIA H100\nIRQ:   \t\t 1\nGPU UUID: \t GPU-1\nDevice Minor: \t 0\n"


def _cgroups(drawn: tuple[str, str], folder: Path) -> object:
    (folder / "mountinfo").write_bytes(encoded(drawn[0]))
    (folder / "cgroup").write_bytes(encoded(drawn[1]))
    return cgroups.own(folder)


def _surroundings(text: str, folder: Path) -> object:
    (folder / "proc/self").mkdir(parents=True)
    for name in ("mountinfo", "status"):
        (folder / "proc/self" / name).write_bytes(encoded(text))
    here = Surroundings(folder, {})
    return here.container(), here.masked(), here.chrooted(), here.setting("user/max_user_namespaces")


def _gpu(text: str, folder: Path) -> object:
    (folder / "proc/driver/nvidia/gpus/a").mkdir(parents=True)
    (folder / "proc/driver/nvidia/gpus/a/information").write_bytes(encoded(text))
    (folder / "proc/driver/nvidia/version").write_bytes(encoded(text))
    found = Machine(folder)
    return found.gpus, found.version


def _record(data: bytes, folder: Path) -> None:
    """Only what is called as ours is removed, and nothing of that name is anywhere but in the folder."""
    path = folder / "record"
    path.write_bytes(data.replace(b"/folder/", os.fsencode(folder) + b"/"))
    (folder / "kept").touch()
    try:
        scratch._sweep(str(path))
    finally:
        assert (folder / "kept").exists()


_SEED, _PUBLIC = (
    bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"),
    bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
)
"""RFC 8032, section 7.1, test 2."""
_KEY = f"ci-1:{b64encode(_SEED + _PUBLIC).decode()}\n"
_SIGNED = "ci-1:" + b64encode(bytes(64)).decode()


def _key(data: bytes, folder: Path) -> object:
    """Sign with the key of a file."""
    (folder / "key").write_bytes(data)
    key = SecretKey.named({KEY_VARIABLE: str(folder / "key")})
    return key and key.sign("a")


def _signed(drawn: tuple[str, str, str], _: Path) -> bool:
    key, text, signature = drawn
    found = PublicKeys((key,)).have_signed(text, [signature])
    assert not found  # nobody has signed anything
    return found


KEYS = (
    Parser("COG_NIX_SECRET_KEY_FILE", ("cog_nix/system/keys",), contents(_KEY.encode()), _key),
    Parser(
        "signatures",
        ("cog_nix/system/keys",),
        st.tuples(texts(f"ci-1:{b64encode(_PUBLIC).decode()}"), texts("a"), texts(_SIGNED)),
        _signed,
    ),
)

KERNEL = (
    Parser(
        "mountinfo and cgroup",
        ("hooks/cog_nix_hooks/bundle/cgroups",),
        st.tuples(texts(_MOUNTS), texts("0::/a\n3:cpu,cpuacct:/a b\n")),
        _cgroups,
    ),
    Parser(
        "what /proc says of this process",
        ("cog_nix/namespaces",),
        texts(_MOUNTS, "Seccomp:\t2\nNoNewPrivs:\t1\n"),
        _surroundings,
    ),
    Parser("what /proc says of GPUs", ("cog_nix/cdi",), texts(_INFORMATION), _gpu),
    Parser(
        "a run's record",
        ("cog_nix/system/scratch",),
        contents(b"/folder/cog-nix-a-0123456789ab\0/folder/kept\0/folder/.cog-nix-new-0\0"),
        _record,
        refuses=(OSError,),
    ),
)

EDGES = (*FLAGS, *STREAMS, *PROGRAMS, *KEYS, *KERNEL)
