"""Which files of wheels become links to others of the same content."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from typing import TYPE_CHECKING

import pytest

from cog_nix.elf.facts import Depth, Facts, read_facts
from cog_nix.elf.wheel import OnDisk
from cog_nix.errors import LockError
from cog_nix.lock.model import Artifact, Source, Wheel
from cog_nix.resolve import duplicates
from cog_nix_hooks.nvidia.parts import PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LARGE = b"x" * duplicates.SMALLEST
_OTHER = b"y" * duplicates.SMALLEST


def _wheel(
    folder: Path, name: str, files: Mapping[str, bytes], programs: tuple[str, ...] = (), size: int = 1 << 20
) -> tuple[Wheel, Path]:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    rows = []
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in files.items():
            info = zipfile.ZipInfo(member)
            info.external_attr = (0o755 if member in programs else 0o644) << 16
            archive.writestr(info, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append(f"{member},sha256={digest},{len(data)}")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "\n".join([*rows, f"{name}-1.0.dist-info/RECORD,,"]))
    return Wheel(name, "1.0", Artifact(path.name, "", name, size)), path


def _links(*made: tuple[Wheel, Path], order: tuple[str, ...] = ()) -> dict[str, dict[str, str]]:
    wheels = [wheel for wheel, _ in made]
    files = {wheel.artifact.sha256: path for wheel, path in made}
    names = order or tuple(wheel.name for wheel in wheels)

    def read(wheel: Wheel, depth: Depth) -> Facts:
        return read_facts(OnDisk(files[wheel.artifact.sha256]), depth)

    return {name: dict(pairs) for name, pairs in duplicates.find(wheels, read, PARTS, names)}


def test_names_of_one_library_link_to_the_longest(tmp_path: Path) -> None:
    made = _wheel(
        tmp_path,
        "triton",
        {"t/libc.so": _LARGE, "t/libc.so.12": _LARGE, "t/libc.so.2024.1": _LARGE, "t/libd.so": _OTHER},
    )
    assert _links(made) == {"triton": {"t/libc.so": "t/libc.so.2024.1", "t/libc.so.12": "t/libc.so.2024.1"}}


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")], ids=["a-below", "b-below"])
def test_the_lowest_layer_keeps_its_file(tmp_path: Path, order: tuple[str, str]) -> None:
    low, high = order
    made = [_wheel(tmp_path, name, {f"{name}/lib.so": _LARGE}) for name in ("a", "b")]
    assert _links(*made, order=order) == {high: {f"{high}/lib.so": f"{low}/lib.so"}}


def test_small_files_and_what_lands_elsewhere_stay(tmp_path: Path) -> None:
    made = _wheel(
        tmp_path,
        "a",
        {
            "a/small": _LARGE[:-1],
            "a/small2": _LARGE[:-1],
            "a/lib.so": _LARGE,
            "a-1.0.data/scripts/tool": _LARGE,
            "a-1.0.dist-info/licenses/L": _LARGE,
        },
    )
    assert _links(made) == {}


def test_programs_are_linked_within_a_folder_and_with_the_same_mode(tmp_path: Path) -> None:
    made = _wheel(
        tmp_path,
        "a",
        {"a/bin/tool": _LARGE, "a/bin/tool-2": _LARGE, "a/other/tool": _LARGE, "a/plain": _LARGE},
        programs=("a/bin/tool", "a/bin/tool-2", "a/other/tool"),
    )
    assert _links(made) == {"a": {"a/bin/tool": "a/bin/tool-2"}}


def test_small_wheels_and_sources_are_not_opened(tmp_path: Path) -> None:
    small, path = _wheel(tmp_path, "small", {"s": _LARGE, "t": _LARGE}, size=1000)
    source = Wheel("source", "1.0", Artifact("s.tar.gz", "", "source", 1 << 20), source=Source("sdist"))
    assert _links((small, path), (source, tmp_path / "gone")) == {}


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "x.whl"
    broken.write_bytes(b"no zip")
    wheel = Wheel("x", "1.0", Artifact("x.whl", "", "x", 1 << 20))
    with pytest.raises(LockError, match=r"x\.whl: this wheel cannot be read"):
        _links((wheel, broken))
