"""Where a worker's folders are for the daemon, when this is one of its containers itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from cog_nix.errors import RuntimeFailure
from cog_nix.plugins.spec import WorkerRequest
from cog_nix_hooks.docker import worker

NUMBER = "ab12" * 16
MOUNTED = f"""\
30 29 0:26 / / rw,relatime - overlay overlay rw
31 30 8:1 /var/lib/docker/containers/{NUMBER}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw
32 30 8:1 /var/lib/docker/containers/{NUMBER}/hostname /etc/hostname rw - ext4 /dev/sda1 rw
"""
OWN = {
    "Mounts": [
        {"Type": "bind", "Source": "/srv/builds", "Destination": "/builds"},
        {"Type": "volume", "Source": "/var/lib/docker/volumes/kept/_data", "Destination": "/kept"},
    ],
    "GraphDriver": {"Name": "overlay2", "Data": {"MergedDir": "/var/lib/docker/overlay2/xyz/merged"}},
}


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        pytest.param("/builds", "/srv/builds", id="mounted"),
        pytest.param("/builds/one/model", "/srv/builds/one/model", id="below-a-mount"),
        pytest.param("/kept/store", "/var/lib/docker/volumes/kept/_data/store", id="in-a-volume"),
        pytest.param("/buildsmore", "/var/lib/docker/overlay2/xyz/merged/buildsmore", id="its-own"),
    ],
)
def test_a_folder_of_this_container_is_found_on_the_daemons_side(folder: str, source: str) -> None:
    assert worker._source(OWN, Path(folder)) == Path(source)


class Client:
    """A daemon that knows one container, and refuses as it is told."""

    def __init__(self, own: dict[str, Any] | None, refusal: str = "") -> None:
        self.own, self.refusal = own, refusal
        self.created: list[dict[str, Any]] = []
        self.removed: list[str] = []

    def containers(self, **_how: object) -> list[dict[str, Any]]:
        return []

    def inspect_container(self, name: str) -> dict[str, Any]:
        if name == NUMBER and self.own is not None:
            return self.own
        raise docker.errors.NotFound(name)

    def create_host_config(self, **how: Any) -> dict[str, Any]:
        return {"SecurityOpt": how["security_opt"]}

    def create_container(self, image: str, **how: Any) -> None:
        if self.refusal:
            raise docker.errors.APIError("400", requests.Response(), explanation=self.refusal)
        self.created.append({"image": image, **how})

    def start(self, _name: str) -> None: ...

    def remove_container(self, name: str, **_how: object) -> None:
        self.removed.append(name)


@pytest.fixture
def contained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_own_ids", lambda: iter([NUMBER]))


REQUEST = WorkerRequest("image", ("server",), (Path("/builds/model"), Path("/opt/cog-nix")))


@pytest.mark.usefixtures("contained")
def test_folders_that_the_daemon_cannot_reach_are_named() -> None:
    own = {"Mounts": OWN["Mounts"], "GraphDriver": None}  # as with containerd's image store
    with pytest.raises(RuntimeFailure, match=r"cannot be shown to another one: /opt/cog-nix$"):
        worker.start_worker(Client(own), REQUEST, {})  # type: ignore[arg-type]


def test_this_container_is_found_by_what_docker_mounts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTED)
    monkeypatch.setattr(worker, "_MOUNTS", tmp_path / "mountinfo")
    assert list(worker._own_ids()) == [NUMBER, NUMBER]


@pytest.mark.usefixtures("contained")
def test_a_plain_user_gets_no_capability_and_its_own_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.getegid", lambda: 1001)
    client = Client(OWN)
    worker.start_worker(client, REQUEST, {"SecurityOptions": ["name=seccomp,profile=default"]})  # type: ignore[arg-type]
    [created] = client.created
    assert created["user"] == "1000:1001"
    assert created["host_config"]["SecurityOpt"] == ["seccomp=unconfined"]
    assert created["host_config"]["MaskedPaths"] == created["host_config"]["ReadonlyPaths"] == []
    assert "CapAdd" not in created["host_config"]
    shown = {one["Target"]: one["Source"] for one in created["host_config"]["Mounts"]}
    assert shown == {
        "/builds/model": "/srv/builds/model",
        "/opt/cog-nix": "/var/lib/docker/overlay2/xyz/merged/opt/cog-nix",
    }


def test_a_daemon_elsewhere_is_told_by_the_folder_that_it_lacks() -> None:
    refusal = "invalid mount config: bind source path does not exist: /builds/model"
    client = Client(None, refusal)
    with pytest.raises(RuntimeFailure, match=r"^Docker's machine has no folder /builds/model\.") as caught:
        worker.start_worker(client, REQUEST, {})  # type: ignore[arg-type]
    assert "another machine" in caught.value.hint
    assert len(client.removed) == 1


@pytest.mark.parametrize(
    ("restricted", "profiles"), [("1", ["podman", "unconfined"]), ("0", ["unconfined"])], ids=["on", "off"]
)
def test_apparmor_gets_the_profile_that_allows_namespaces_where_it_restricts_them(
    restricted: str, profiles: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "setting").write_text(f"{restricted}\n")
    monkeypatch.setattr(worker, "_RESTRICTION", tmp_path / "setting")
    asked: list[str] = []

    class Refusing(Client):
        def create_container(self, image: str, **how: Any) -> None:
            asked.append(how["host_config"]["SecurityOpt"][-1])
            super().create_container(image, **how)

    client = Refusing(None, "unable to apply apparmor profile")
    with pytest.raises(RuntimeFailure, match="does not start: unable to apply"):
        worker.start_worker(client, REQUEST, {"SecurityOptions": ["name=apparmor"]})  # type: ignore[arg-type]
    assert asked == [f"apparmor={profile}" for profile in profiles]
