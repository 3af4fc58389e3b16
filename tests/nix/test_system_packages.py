"""What maintainer scripts leave in an image: the same as on a machine where apt installed the packages."""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import stream

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.nix, pytest.mark.network]

SYSTEM_PACKAGES = (
    "ffmpeg git libgl1-mesa-glx libglib2.0-0 libsm6 libxext6 libsndfile1 espeak-ng aria2 xvfb",
    "dbus mosquitto openssh-server adduser",
    "default-jre-headless fontconfig fonts-dejavu-core libgstreamer1.0-0 locales python3-yaml",
)
_CAPABILITY = "SCHILY.xattr.security.capability"


@dataclass(frozen=True)
class Tree:
    """The file system of an image."""

    members: dict[str, tarfile.TarInfo]
    contents: dict[str, bytes]

    def text(self, path: str) -> str:
        return self.contents[path].decode()

    def numbers(self, path: str) -> dict[str, int]:
        """Read names and numbers from passwd(5) or group(5)."""
        rows = (line.split(":") for line in self.text(path).splitlines())
        return {row[0]: int(row[2]) for row in rows}

    def owner(self, path: str) -> tuple[str, str, str]:
        """Return user, group and mode of a path."""
        info = self.members[path]
        users = {number: name for name, number in self.numbers("etc/passwd").items()}
        groups = {number: name for name, number in self.numbers("etc/group").items()}
        return users[info.uid], groups[info.gid], oct(info.mode)


def _read(build: Any) -> Tree:
    image: stream.Image = build.image()
    members: dict[str, tarfile.TarInfo] = {}
    contents: dict[str, bytes] = {}
    store = build.path().parent
    for layer in image["layers"]:
        with stream.open_layer(layer, store) as opened, tarfile.open(fileobj=opened, mode="r|") as tar:
            for info in tar:
                members[info.name] = info
                if info.isreg() and info.size < 1 << 20:
                    data = tar.extractfile(info)
                    contents[info.name] = data.read() if data else b""
    return Tree(members, contents)


@pytest.fixture(scope="module")
def tree(hello: tuple[Any, stream.Image], make_build: Callable[..., Any], copy: Callable[..., Path]) -> Tree:
    """Return an image with many packages, on the same base as hello-world's."""
    first, _ = hello
    project = copy("system-packages", first.project / "cog-nix.lock")
    lines = "".join(f"    - {entry}\n" for entry in SYSTEM_PACKAGES)
    settings = (project / "cog.yaml").read_text().replace("build:\n", f"build:\n  system_packages:\n{lines}")
    (project / "cog.yaml").write_text(settings)
    build = make_build(project, first.store)
    assert "libgl1-mesa-glx is called libgl1 in Debian trixie" in build.run("lock").stderr
    return _read(build)


def test_every_package_is_wholly_installed(tree: Tree) -> None:
    stanzas = tree.text("var/lib/dpkg/status").strip().split("\n\n")
    assert len(stanzas) > 300
    assert {re.search(r"^Status: (.*)$", each, re.MULTILINE)[1] for each in stanzas} == {  # type: ignore[index]
        "install ok installed"
    }
    names = [re.match(r"Package: (.*)", each)[1] for each in stanzas]  # type: ignore[index]
    kept = {path.rpartition("/")[2] for path in tree.members if path.startswith("var/lib/dpkg/info/")}
    assert [name for name in names if not {f"{name}.list", f"{name}:amd64.list"} & kept] == []
    assert not [path for path in tree.members if path.endswith((".dpkg-new", ".dpkg-tmp"))]
    assert tree.text("var/lib/dpkg/triggers/Unincorp") == ""


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("etc/shadow", ("root", "shadow", "0o640")),
        ("tmp", ("root", "root", "0o1777")),
        ("var/mail", ("root", "mail", "0o2775")),
        ("usr/bin/su", ("root", "root", "0o4755")),
        ("usr/bin/ssh-agent", ("root", "_ssh", "0o2755")),
        ("usr/lib/dbus-1.0/dbus-daemon-launch-helper", ("root", "messagebus", "0o4754")),
        ("var/lib/mosquitto", ("mosquitto", "root", "0o755")),
        ("var/log/mosquitto", ("mosquitto", "root", "0o755")),
        ("var/log/btmp", ("root", "utmp", "0o660")),
    ],
)
def test_owners_are_those_that_scripts_ask_for(tree: Tree, path: str, owner: tuple[str, str, str]) -> None:
    assert tree.owner(path) == owner


def test_capabilities_are_in_the_layer(tree: Tree) -> None:
    helper = next(path for path in tree.members if path.endswith("/gst-ptp-helper"))
    assert oct(tree.members[helper].mode) == "0o755"
    assert tree.members[helper].pax_headers[_CAPABILITY].startswith("\1\0\0\2")


def test_caches_are_made(tree: Tree) -> None:
    caches = [path for path in tree.members if re.match(r"var/cache/fontconfig/.*\.cache-\d+$", path)]
    assert len(caches) >= 2
    assert b"libavcodec.so.61" in tree.contents["etc/ld.so.cache"]
    assert tree.text("etc/ssl/certs/ca-certificates.crt").count("BEGIN CERTIFICATE") > 100
    assert "etc/ssl/certs/java/cacerts" in tree.members
    assert "usr/share/mime/mime.cache" in tree.members
    assert "usr/lib/python3/dist-packages/yaml/__pycache__/__init__.cpython-313.pyc" in tree.members
    assert tree.members["etc/alternatives/java"].linkname.endswith("/bin/java")
    assert tree.members["usr/bin/java"].linkname == "/etc/alternatives/java"


def test_users_have_their_homes_and_nobody_a_password(tree: Tree) -> None:
    assert {"messagebus", "mosquitto", "sshd"} <= tree.numbers("etc/passwd").keys()
    passwords = {line.split(":")[1] for line in tree.text("etc/shadow").splitlines()}
    assert passwords <= {"*", "!", "!*"}
    changed = {line.split(":")[2] for line in tree.text("etc/shadow").splitlines()}
    assert changed == {"3652"}, "days from 1970 to the time that files have"


def test_chance_clocks_and_secrets_stay_out(tree: Tree) -> None:
    assert not [path for path in tree.members if "ssh_host" in path]
    assert re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{19}\n", tree.text("etc/machine-id"))
    logs = [path for path, info in tree.members.items() if path.startswith("var/log/") and info.isreg()]
    assert "var/log/dpkg.log" not in logs
    assert {tree.members[path].size for path in logs} == {0}
    assert {info.mtime for info in tree.members.values()} == {315532800}
