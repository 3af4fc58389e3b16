"""Specifications: what is read of them, what is wrong with them, and which one has the last word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cog_nix.cdi.document import parse
from cog_nix.cdi.failures import CdiError
from cog_nix.cdi.model import DeviceNode, Hook, Mount
from cog_nix.cdi.registry import FOLDERS, VARIABLE, Registry, folders, is_qualified

NAME = Path("nvidia.yaml")
WHOLE = """
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      major: 195
      fileMode: 0666
      permissions: rw
      uid: 7
    - path: /dev/card0
      hostPath: /dev/dri/card0
      type: c
- name: "0:1"
  containerEdits: {}
containerEdits:
  env: [NVIDIA_VISIBLE_DEVICES=void, A=b=c]
  additionalGids: [0, 44]
  intelRdt: {closID: x}
  mounts:
  - hostPath: /lib/libcuda.so.1
    containerPath: /usr/lib/libcuda.so.1
    options: [ro, rbind]
  - {hostPath: tmpfs, containerPath: /x, type: tmpfs}
  hooks:
  - hookName: createContainer
    path: /usr/bin/nvidia-ctk
    args: [nvidia-ctk, hook, chmod]
    env: [A=b]
    timeout: 5
"""
PLAIN: dict[str, Any] = {
    "cdiVersion": "0.3.0",
    "kind": "vendor.com/net",
    "devices": [{"name": "a", "containerEdits": {"env": ["A=b"]}}],
}


def test_all_of_a_specification_is_read() -> None:
    one = parse(WHOLE, NAME)
    assert (one.version, one.kind) == ("0.5.0", "nvidia.com/gpu")
    assert [device.name for device in one.devices] == ["0", "0:1"]
    assert one.devices[0].edits.device_nodes == (
        DeviceNode("/dev/nvidia0", "/dev/nvidia0", "", 195, 0, 0o666, "rw", 7),
        DeviceNode("/dev/card0", "/dev/dri/card0", "c"),
    )
    assert one.edits.variables == {"NVIDIA_VISIBLE_DEVICES": "void", "A": "b=c"}
    assert one.edits.additional_gids == (44,)
    assert one.edits.mounts == (
        Mount("/lib/libcuda.so.1", "/usr/lib/libcuda.so.1", ("ro", "rbind")),
        Mount("tmpfs", "/x", (), "tmpfs"),
    )
    assert [mount.binds for mount in one.edits.mounts] == [True, False]
    arguments = ("nvidia-ctk", "hook", "chmod")
    assert one.edits.hooks == (Hook("createContainer", "/usr/bin/nvidia-ctk", arguments, ("A=b",), 5),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"cdiVersion": "0.2.0"}, "cdiVersion: '0.2.0' does not match", id="old"),
        pytest.param({"cdiVersion": "2.0.0"}, "cdiVersion: '2.0.0' does not match", id="newer-than-known"),
        pytest.param({"kind": "gpu"}, "kind: 'gpu' does not match", id="kind-without-vendor"),
        pytest.param({"kind": "vendor.com/a/b"}, "kind: 'vendor.com/a/b' does not match", id="kind-of-three"),
        pytest.param({"devices": []}, "devices: []", id="no-devices"),
        pytest.param(
            {"extra": 1}, "the file: Additional properties are not allowed ('extra'", id="unknown-key"
        ),
        pytest.param(
            {"devices": [{"name": "-", "containerEdits": {}}]},
            "devices[0].name: '-' does not match",
            id="name",
        ),
        pytest.param(
            {"devices": [{"name": "a"}]}, "devices[0]: 'containerEdits' is a required", id="no-edits"
        ),
        pytest.param(
            {"devices": [*PLAIN["devices"], *PLAIN["devices"]]}, "devices: two are called 'a'", id="twice"
        ),
        pytest.param(
            {"containerEdits": {"env": ["A"]}}, "containerEdits.env[0]: 'A' does not match", id="env"
        ),
        pytest.param(
            {"containerEdits": {"deviceNodes": [{"path": "/dev/a", "type": "x"}]}},
            "containerEdits.deviceNodes[0].type: 'x' is not one of",
            id="type",
        ),
        pytest.param(
            {"containerEdits": {"deviceNodes": [{"path": "/dev/a", "permissions": "rx"}]}},
            "containerEdits.deviceNodes[0].permissions: 'rx' does not match",
            id="permissions",
        ),
        pytest.param(
            {"containerEdits": {"hooks": [{"hookName": "before", "path": "/x"}]}},
            "containerEdits.hooks[0].hookName: 'before' is not one of",
            id="hook",
        ),
        pytest.param(
            {"containerEdits": {"mounts": [{"hostPath": "/x"}]}},
            "containerEdits.mounts[0]: 'containerPath' is a required",
            id="mount",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(change: dict[str, Any], said: str) -> None:
    with pytest.raises(CdiError) as caught:
        parse(json.dumps({**PLAIN, **change}), Path("vendor.json"))
    assert caught.value.message.startswith(f"vendor.json: {said}")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_what_is_no_document(name: str) -> None:
    with pytest.raises(CdiError, match=f"^{name}: the device specification is no"):
        parse("{", Path(name))


def write(folder: Path, name: str, value: str, device: str = "a") -> Path:
    folder.mkdir(exist_ok=True)
    devices = [{"name": device, "containerEdits": {"env": [f"WHICH={value}"]}}]
    (folder / name).write_text(
        json.dumps({**PLAIN, "devices": devices, "containerEdits": {"env": ["ALL=1"]}})
    )
    return folder / name


def test_a_later_folder_wins(tmp_path: Path) -> None:
    first, second = tmp_path / "etc", tmp_path / "run"
    write(first, "one.json", "first")
    write(second, "two.json", "second")
    write(first, "other.json", "third", "b")
    (first / "notes.txt").write_text("no specification")
    (first / "folder.json").mkdir()
    registry = Registry.read([first, second, tmp_path / "nowhere"])
    assert registry.problems == ()
    assert registry.names("vendor.com/net") == ["a", "b"]
    assert registry.edits(["vendor.com/net=a"]).env == ("ALL=1", "WHICH=second")
    # What all devices of a file need comes once for each file.
    both = registry.edits(["vendor.com/net=a", "vendor.com/net=b", "vendor.com/net=a"])
    assert both.env == ("ALL=1", "WHICH=second", "ALL=1", "WHICH=third")


def test_two_files_of_a_folder_are_a_conflict(tmp_path: Path) -> None:
    folder, later = tmp_path / "etc", tmp_path / "run"
    paths = [write(folder, name, name) for name in ("one.json", "two.json")]
    registry = Registry.read([folder])
    assert registry.knows("vendor.com/net")
    with pytest.raises(CdiError, match=f"vendor.com/net=a is described twice, by {paths[0]} and {paths[1]}"):
        registry.edits(["vendor.com/net=a"])
    write(later, "three.json", "three")
    assert Registry.read([folder, later]).edits(["vendor.com/net=a"]).variables["WHICH"] == "three"


def test_a_broken_file_hides_no_other(tmp_path: Path) -> None:
    write(tmp_path, "good.json", "good")
    (tmp_path / "bad.json").write_text("{")
    registry = Registry.read([tmp_path])
    assert registry.edits(["vendor.com/net=a"]).variables["WHICH"] == "good"
    with pytest.raises(CdiError) as caught:
        registry.edits(["vendor.com/net=z"])
    assert "This machine has no device vendor.com/net=z." in caught.value.message
    assert "bad.json: the device specification is not JSON" in caught.value.message
    assert caught.value.hint == "There are: vendor.com/net=a."
    with pytest.raises(CdiError, match="'z' is not the name of a device"):
        registry.edits(["z"])


def test_numbers_are_in_their_order(tmp_path: Path) -> None:
    for name in ("10", "9", "all"):
        write(tmp_path, f"{name}.json", name, name)
    assert Registry.read([tmp_path]).names("vendor.com/net") == ["9", "10", "all"]


def test_where_specifications_are() -> None:
    assert folders({}) == FOLDERS == (Path("/etc/cdi"), Path("/var/run/cdi"))
    assert folders({VARIABLE: "/a::/b"}) == (Path("/a"), Path("/b"))


@pytest.mark.parametrize(
    ("name", "qualified"),
    [
        ("nvidia.com/gpu=all", True),
        ("nvidia.com/gpu=0:1", True),
        ("vendor/class=GPU-1f_2", True),
        ("nvidia.com/gpu", False),
        ("gpu=0", False),
        ("nvidia.com/gpu=0:", False),
        ("0", False),
    ],
)
def test_qualified_names(name: str, qualified: bool) -> None:  # noqa: FBT001
    assert is_qualified(name) is qualified
