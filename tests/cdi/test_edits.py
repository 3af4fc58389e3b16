"""What becomes of edits: hooks that nobody runs, a runtime configuration, files of a container."""

from __future__ import annotations

import io
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.cdi import linker, oci, place
from cog_nix.cdi.failures import CdiError
from cog_nix.cdi.hooks import without
from cog_nix.cdi.model import DeviceNode, Edits, Hook, Mount, Placement

from .conftest import VERSION

if TYPE_CHECKING:
    from .conftest import Driver

LIB = "/usr/lib64"
CONFIG: dict[str, Any] = {
    "process": {"env": ["PATH=/bin", "A=old"], "user": {"uid": 0, "gid": 0}},
    "mounts": [{"destination": "/dev"}, {"destination": "/dev/shm"}, {"destination": "/a"}],
    "linux": {"namespaces": []},
}


def hook(*args: str, path: str = "/nowhere/nvidia-cdi-hook") -> Hook:
    return Hook("createContainer", path, (path.rpartition("/")[2], *args))


@pytest.mark.parametrize(
    ("given", "placement"),
    [
        pytest.param(
            hook("create-symlinks", "--link", "a.so.1::/l/a.so", "--link=b::/l/b"),
            Placement(links=(("a.so.1", "/l/a.so"), ("b", "/l/b"))),
            id="create-symlinks",
        ),
        pytest.param(
            hook("hook", "create-symlinks", "--link", "a::/b", path="/nowhere/nvidia-ctk"),
            Placement(links=(("a", "/b"),)),
            id="nvidia-ctk",
        ),
        pytest.param(
            hook("chmod", "--mode", "750", "--path", "/dev/dri", "--path=/x"),
            Placement(modes=(("/dev/dri", 0o750), ("/x", 0o750))),
            id="chmod",
        ),
        pytest.param(
            hook("update-ldcache", "--folder", "/other", "--folder", "/more"),
            Placement(folders=("/other", "/more")),
            id="update-ldcache",
        ),
        pytest.param(hook("enable-cuda-compat", "--host-driver-version=1"), Placement(), id="not-needed"),
    ],
)
def test_known_hooks_become_files(given: Hook, placement: Placement) -> None:
    assert without(Edits(hooks=(given,)), all_of_them=True) == Edits(placement=placement)


def test_mounted_libraries_are_known_by_their_sonames(driver: Driver) -> None:
    names = [f"libcuda.so.{VERSION}", f"libnvidia-ml.so.{VERSION}", f"libother.so.{VERSION}.1"]
    mounts = tuple(Mount(str(driver.folder / name), f"{LIB}/{name}") for name in names)
    elsewhere = Mount(str(driver.folder / names[0]), f"/opt/{names[0]}")
    edits = Edits(mounts=(*mounts, elsewhere), hooks=(hook("update-ldcache", "--folder", LIB),))
    known = (("libcuda.so.1", f"{LIB}/{names[0]}"), ("libnvidia-ml.so.1", f"{LIB}/{names[1]}"))
    assert without(edits, all_of_them=True).placement == Placement(folders=(LIB,), libraries=known)
    whole = replace(edits, mounts=(Mount(str(driver.folder), LIB),))
    assert ("libcuda.so.1", f"{LIB}/{names[0]}") in without(whole, all_of_them=True).placement.libraries


def test_hooks_that_can_be_run_stay() -> None:
    kept = hook("anything", path="/bin/true")
    edits = Edits(hooks=(kept, hook("create-symlinks", "--link", "a::/b")))
    assert without(edits, all_of_them=False) == Edits(
        hooks=(kept,), placement=Placement(links=(("a", "/b"),))
    )
    for unknown in (kept, hook("surprise"), Hook("poststop", "/nowhere/nvidia-cdi-hook")):
        with pytest.raises(CdiError, match="hook that cannot be run here"):
            without(Edits(hooks=(unknown,)), all_of_them=True)


def test_edits_add_up() -> None:
    one = Edits(("A=1",), (DeviceNode("/dev/a", "/dev/x"),), (Mount("/x", "/a"),), (), (4,))
    two = Edits(
        ("A=2",), (DeviceNode("/dev/a", "/dev/y"),), (Mount("/y", "/a"), Mount("/z", "/b")), (), (4, 5)
    )
    both = one + two
    assert both.variables == {"A": "2"}
    assert both.device_nodes == (DeviceNode("/dev/a", "/dev/y"),)
    assert both.mounts == (Mount("/y", "/a"), Mount("/z", "/b"))
    assert both.additional_gids == (4, 5)


def test_a_runtime_configuration() -> None:
    edits = Edits(
        env=("A=new", "B=x=y"),
        device_nodes=(
            DeviceNode("/dev/nvidia0", "/dev/null", permissions="rw"),
            DeviceNode("/dev/fake", "/nowhere", "c", 195, 3, 0o600, "none", 5, 6),
        ),
        mounts=(
            Mount("/lib/x", "/usr/lib/deep/x", ("ro",)),
            Mount("/b", "/a", ("bind",)),
            Mount("t", "/t", (), "tmpfs"),
        ),
        hooks=(Hook("createContainer", "/bin/true", ("true",), ("X=1",), 3), Hook("poststop", "/bin/false")),
        additional_gids=(44,),
    )
    made = oci.apply(CONFIG, edits)
    assert CONFIG["process"]["env"] == ["PATH=/bin", "A=old"], "the one that was given stays"
    assert made["process"]["env"] == ["PATH=/bin", "A=new", "B=x=y"]
    assert made["process"]["user"]["additionalGids"] == [44]
    mode = Path("/dev/null").stat().st_mode & 0o7777
    assert made["linux"]["devices"] == [
        {"path": "/dev/nvidia0", "type": "c", "fileMode": mode, "major": 1, "minor": 3},
        {"path": "/dev/fake", "type": "c", "fileMode": 0o600, "major": 195, "minor": 3, "uid": 5, "gid": 6},
    ]
    rule = {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"}
    assert made["linux"]["resources"]["devices"] == [rule, {**rule, "major": 195, "access": ""}]
    assert [one["destination"] for one in made["mounts"]] == [
        "/dev",
        "/a",
        "/t",
        "/dev/shm",
        "/usr/lib/deep/x",
    ]
    assert [(one["type"], one["options"]) for one in made["mounts"] if "type" in one] == [
        ("bind", ["bind"]),
        ("tmpfs", []),
        ("bind", ["ro", "rbind"]),
    ]
    assert made["hooks"] == {
        "createContainer": [{"path": "/bin/true", "args": ["true"], "env": ["X=1"], "timeout": 3}],
        "poststop": [{"path": "/bin/false"}],
    }


def test_a_runtime_configuration_for_a_plain_user() -> None:
    made = oci.apply(
        CONFIG, Edits(device_nodes=(DeviceNode("/dev/x", "/dev/null"),), additional_gids=(4,)), rootless=True
    )
    assert "devices" not in made["linux"]
    assert "additionalGids" not in made["process"]["user"]
    assert made["mounts"][-1]["source"] == "/dev/null"
    assert oci.apply(CONFIG, Edits())["linux"] == CONFIG["linux"]


@pytest.mark.parametrize(
    ("path", "said"), [("/nowhere/x", "cannot be used: No such file"), ("/etc/hosts", "is not a device")]
)
def test_device_files_that_are_none(path: str, said: str) -> None:
    with pytest.raises(CdiError, match=said):
        oci.apply(CONFIG, Edits(device_nodes=(DeviceNode("/dev/x", path),)))


PLACEMENT = Placement(
    links=(("libcuda.so.1", f"{LIB}/libcuda.so"), ("/usr/lib64/x", "/usr/bin/x")),
    folders=(LIB,),
    libraries=(("libcuda.so.1", f"{LIB}/libcuda.so.550"), ("libsame.so.1", f"{LIB}/libsame.so.1")),
    modes=(("/etc", 0o700),),
)
KNOWN = [
    ("libsame.so.1", f"{LIB}/libsame.so.1"),
    ("libcuda.so.1", f"{LIB}/libcuda.so.1"),
    ("libcuda.so", f"{LIB}/libcuda.so"),
]


def test_an_archive_of_what_is_placed() -> None:
    with tarfile.open(fileobj=io.BytesIO(place.archive(PLACEMENT, b""))) as tar:
        links = {one.name: one.linkname for one in tar if one.issym()}
        cache = tar.extractfile(linker.PATH[1:])
        assert cache is not None
        assert linker.entries(cache.read()) == KNOWN
        configuration = tar.extractfile(place.CONFIGURATION[1:])
        assert configuration is not None
        assert configuration.read() == f"{LIB}\n".encode()
    assert links == {
        "usr/lib64/libcuda.so.1": "libcuda.so.550",
        "usr/lib64/libcuda.so": "libcuda.so.1",
        "usr/bin/x": "/usr/lib64/x",
    }
    assert place.load(place.dump(PLACEMENT)) == PLACEMENT


@pytest.mark.root
def test_placing_stays_inside_the_root(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "usr/bin", root / "real", outside / "conf"):
        folder.mkdir(parents=True)
    (root / "usr/lib64").symlink_to(outside)  # a link of the image means the image's own folder
    (root / str(outside)[1:]).mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/ld.so.conf.d").symlink_to("../../../../../../../../real")
    (root / "usr/bin/x").write_text("the image's own")
    (tmp_path / "placement.json").write_text(place.dump(PLACEMENT))
    command = [*place.command(root, tmp_path / "placement.json"), "touch", str(tmp_path / "after")]
    subprocess.run(command, check=True, umask=0o077)
    assert (tmp_path / "after").exists()
    assert sorted(path.name for path in outside.iterdir()) == ["conf"]
    assert (root / str(outside)[1:] / "libcuda.so").readlink() == Path("libcuda.so.1")
    assert (root / "usr/bin/x").readlink() == Path("/usr/lib64/x")
    assert (root / "real" / Path(place.CONFIGURATION).name).read_text() == f"{LIB}\n"
    assert linker.entries((root / "etc/ld.so.cache").read_bytes()) == KNOWN
    assert (root / "etc").stat().st_mode & 0o777 == 0o700
    assert (root / "etc/ld.so.cache").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "after").stat().st_mode & 0o777 == 0o600, "the command has its own"


@pytest.mark.root
def test_what_cannot_be_placed_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/etc").write_text("no folder")
    (tmp_path / "placement.json").write_text(place.dump(PLACEMENT))
    words = place.command(tmp_path / "root", tmp_path / "placement.json")
    done = subprocess.run(
        [*words, "touch", str(tmp_path / "after")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "The driver cannot be placed in the container" in done.stderr
    assert not (tmp_path / "after").exists()
