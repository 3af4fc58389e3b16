"""Large members of wheels: the same fragment as the slow way makes, in one pass."""

from __future__ import annotations

import json
import random
import zipfile
import zlib
from typing import TYPE_CHECKING

import archive
import foreign
import members
import pytest
import wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_DATA = "Tiny_Thing-1.0.data"


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make 100 bytes large."""
    monkeypatch.setattr(members, "_LARGE", 100)


def _pack(path: Path, method: int) -> Path:
    """Write a wheel again, its members compressed."""
    with zipfile.ZipFile(path) as old:
        files = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(path, "w", method) as new:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            info.compress_type = method
            info.external_attr = (0o100755 if name.endswith("-bin") else 0o100644) << 16
            new.writestr(info, data)
    return path


@pytest.fixture
def built(make_wheel: Callable[..., Path]) -> Path:
    """Return a wheel with large files of every kind."""
    words = random.Random(1)  # noqa: S311 - the same each time
    noise = "".join(chr(words.randrange(32, 127)) for _ in range(300_000))
    return make_wheel(
        {
            "tiny/__init__.py": "x = 1\n" * 100,
            "tiny/aaa.so": noise,
            "tiny/zeros-bin": "\0" * 2_000_000,
            "zzz/after-the-record.so": noise[::-1],
            f"{_DATA}/data/share/large.bin": noise[:5_000],
            f"{_DATA}/scripts/tool": "#!python\n" + noise[:5_000],
            f"{_DATA}/headers/tiny.h": "/* */" * 100,
        }
    )


def _fragment(built: Path, out: Path, large: members.Members | None) -> Path:
    root = out.with_name(f"{out.name}-root")
    root.mkdir()
    _, late = wheel.unpack(built, "3.13", root, large=large)
    archive.write_fragment(out, archive.from_tree(root), "tiny", late)
    return out


def _same(one: Path, other: Path) -> bool:
    names = ("directories.tar", "files.tar", "index.tsv")
    described = [json.loads((folder / "fragment.json").read_text()) for folder in (one, other)]
    return (
        all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
        and described[0]["diff_id"] == described[1]["diff_id"]
    )


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    "method",
    [
        pytest.param(zipfile.ZIP_STORED, id="stored"),
        pytest.param(zipfile.ZIP_DEFLATED, id="deflated"),
        pytest.param(zipfile.ZIP_LZMA, id="lzma"),
    ],
)
def test_the_fragment_is_the_one_that_installing_file_by_file_makes(
    built: Path, tmp_path: Path, method: int
) -> None:
    _pack(built, method)
    found = members.Members(built)
    quick = _fragment(built, tmp_path / "quick", found)
    assert bool(found.paths) is (method != zipfile.ZIP_LZMA), "what is compressed otherwise is left alone"
    assert _same(quick, _fragment(built, tmp_path / "slow", None))


def _change_record(built: Path, change: Callable[[str], str]) -> None:
    """Write a wheel again with other lines in its RECORD."""
    with zipfile.ZipFile(built) as old:
        files = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(built, "w") as new:
        for name, data in files.items():
            lines = data.decode().splitlines() if name.endswith("/RECORD") else []
            new.writestr(name, "".join(f"{change(line)}\n" for line in lines) if lines else data)


@pytest.mark.usefixtures("large")
def test_a_hash_that_the_wheel_does_not_tell_is_found_out(built: Path, tmp_path: Path) -> None:
    def change(line: str) -> str:
        path, hash_, size = line.split(",")
        if path == "tiny/zeros-bin":
            return f"{path},,"
        return ",".join([path, hash_.replace("sha256", "md5") if path == "tiny/aaa.so" else hash_, size])

    slow = _fragment(built, tmp_path / "slow", None)
    _change_record(_pack(built, zipfile.ZIP_DEFLATED), change)
    found = members.Members(built)
    assert _same(_fragment(built, tmp_path / "quick", found), slow)
    assert {path.rpartition("/")[2] for path in found.unknown} == {"aaa.so", "zeros-bin"}


@pytest.mark.usefixtures("large")
def test_the_hash_of_a_large_file_is_the_one_that_its_wheel_has(built: Path, tmp_path: Path) -> None:
    other = "sha256=" + "A" * 43

    def change(line: str) -> str:
        path, _, size = line.split(",")
        return f"{path},{other},{size}" if path == "tiny/aaa.so" else line

    _change_record(built, change)
    found = members.Members(built)
    fragment = _fragment(built, tmp_path / "quick", found)
    assert f"tiny/aaa.so,{other},".encode() in (fragment / "files.tar").read_bytes()
    assert not found.unknown, "nothing was hashed"


@pytest.mark.usefixtures("large")
def test_a_seed_without_isal_will_do(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pack(built, zipfile.ZIP_DEFLATED)
    slow = _fragment(built, tmp_path / "slow", None)
    monkeypatch.setattr(members, "_zlib", zlib)
    assert _same(_fragment(built, tmp_path / "quick", members.Members(built)), slow)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_a_damaged_member_is_noticed(built: Path, tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(_pack(built, method)) as packed:
        info = packed.getinfo("tiny/aaa.so")
    data = bytearray(built.read_bytes())
    data[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 1
    built.write_bytes(data)
    with pytest.raises((zipfile.BadZipFile, members.DAMAGED)):
        _fragment(built, tmp_path / "quick", members.Members(built))


@pytest.mark.usefixtures("large")
def test_two_members_of_one_name_are_refused_as_ever(built: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(built, "a") as packed, pytest.warns(UserWarning, match="Duplicate name"):
        packed.writestr("tiny/aaa.so", "x" * 1_000)
    with pytest.raises(foreign.ForeignFileError, match="already exists"):
        _fragment(built, tmp_path / "quick", members.Members(built))
