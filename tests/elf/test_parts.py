"""Wheels of which only parts are fetched say the same as whole ones."""

from __future__ import annotations

import random
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from cog_nix.elf.ends import BothEnds, NoBlockError, inflate_tail
from cog_nix.elf.facts import Depth, read_facts
from cog_nix.elf.parts import read_parts
from cog_nix.elf.wheel import OnDisk
from cog_nix.fetch.ranges import NoPartsError, Parts
from cog_nix.fetch.retry import RetryPolicy
from cog_nix.fetch.transport import Response
from tests.elf.made import make_elf, with_sections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path


@dataclass
class _Server:
    """Gives parts of one file."""

    content: bytes
    change: Callable[[int, bytes], bytes] = lambda _, part: part
    asked: list[tuple[int, int]] = field(default_factory=list)

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Response]:
        assert url.endswith(".whl")
        first, _, last = (headers or {})["Range"].removeprefix("bytes=").partition("-")
        start, stop = int(first), int(last) + 1
        self.asked.append((start, stop))
        told = {"content-range": f"bytes {start}-{stop - 1}/{len(self.content)}"}
        yield Response(206, told, iter([self.change(start, self.content[start:stop])]))

    @property
    def parts(self) -> Parts:
        return Parts(self, "https://index.example/x.whl", len(self.content), RetryPolicy(attempts=1))


def _code(size: int, seed: int = 0) -> bytes:
    """Return something that packs as code does: much of it occurs again, some never."""
    chance = random.Random(seed)  # noqa: S311 - the same each time
    words = [chance.randbytes(chance.randrange(3, 40)) for _ in range(3000)]
    found = bytearray()
    while len(found) < size:
        found += chance.choice(words) if chance.random() < 0.93 else chance.randbytes(2000)
    return bytes(found[:size])


def _library(size: int, after: int, *needed: str) -> bytes:
    """Return a library whose dynamic section stands behind its code and before other things."""
    made = make_elf(*needed, soname="libbig.so.1", runpath="$ORIGIN/lib", padding=size)
    at = made.index(bytes(range(251)))
    return made[:at] + _code(size) + made[at + size :] + _code(after, 1)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wheels") / "x.whl"
    big = _library(4_000_000, 400_000, "libcudart.so.12", "libc.so.6")
    record = f"x/libbig.so,sha256=abc,{len(big)}\nx/small.so,sha256=def,9\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/libbig.so", big)
        archive.writestr("x/data.bin", _code(5_000_000, 2))
        archive.writestr("x/small.so", make_elf("libGL.so.1") + b"\0libcublas.so.12\0")
        archive.writestr(
            zipfile.ZipInfo("x/stored.so"), make_elf("libz.so.1", strings_first=False, padding=200_000)
        )
        archive.writestr("x-1.dist-info/METADATA", "Name: x\nRequires-Dist: numpy>=1\n\nText")
        archive.writestr("x-1.dist-info/RECORD", record)
    return path


@pytest.mark.parametrize("depth", Depth, ids=lambda depth: depth.value)
def test_parts_say_what_the_whole_says(wheel: Path, depth: Depth) -> None:
    server = _Server(wheel.read_bytes())
    parts = server.parts
    facts = read_parts(parts, depth)
    assert facts == read_facts(OnDisk(wheel), depth)
    assert facts.requires == ("numpy>=1",)
    assert [one.path for one in facts.large] == ["x/libbig.so"]
    most = {Depth.FILES: 0.02, Depth.LINKS: 0.15, Depth.TEXT: 0.6}[depth]
    assert parts.fetched < most * len(server.content)


def test_what_stands_near_the_end_is_inflated_from_there(wheel: Path) -> None:
    server = _Server(wheel.read_bytes())
    with zipfile.ZipFile(wheel) as archive:
        info = archive.getinfo("x/libbig.so")
        content = archive.read(info)
    parts = server.parts
    member = BothEnds(parts, info)
    for back in (1, 1000, 350_000, 500_000):
        assert member.at(len(content) - back, 100) == content[-back:][:100]
    assert parts.fetched < info.compress_size / 4
    assert member.at(3000, 100) == content[3000:3100]
    assert member.at(2_000_000, 100) == content[2_000_000:2_000_100]
    assert b"".join(BothEnds(server.parts, info).chunks(100_000)) == content


def test_kernels_are_left_out_where_names_of_libraries_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.whl"
    kernels = random.Random(3).randbytes(9_000_000)  # noqa: S311 - the same each time
    before = _code(600_000, 4) + b"\0libcudnn.so.8\0"
    behind = b"\0libnccl.so.2\0" + _code(800_000, 5) + b"\0libcublas.so.12\0" + _code(70_000, 6)
    sections = ((".rodata", before), (".nv_fatbin", kernels), (".eh_frame", bytes(9)), (".data", behind))
    for compression, most in ((zipfile.ZIP_DEFLATED, 0.2), (zipfile.ZIP_STORED, 1.2)):
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("x/kernels.so", with_sections(make_elf("libc.so.6"), *sections))
            archive.writestr("x/small.so", make_elf("libGL.so.1") + b"\0libcufft.so.11\0")
        parts = _Server(path.read_bytes()).parts
        facts = read_parts(parts, Depth.TEXT, most=2)
        assert facts == read_facts(OnDisk(path), Depth.TEXT)
        names = {name for _, name in facts.named}
        assert names >= {"libcudnn.so.8", "libnccl.so.2", "libcublas.so.12", "libcufft.so.11"}
        assert parts.fetched < most * parts.size


@pytest.mark.parametrize("level", [1, 6, 9])
def test_what_is_certain_of_a_tail_is_right(level: int) -> None:
    content = _code(3_000_000, level)
    packer = zlib.compressobj(level, wbits=-15)
    packed = packer.compress(content) + packer.flush()
    known = 0
    for cut in range(100_000, 700_000, 77_777):
        tail = inflate_tail(packed[-cut:])
        for back in range(1000, 3_000_000, 50_000):
            found = tail.sure(back, 100)
            assert found is None or found == content[-back:][:100]
            known += found is not None
    assert known > 50


def test_what_does_not_inflate_has_no_tail() -> None:
    with pytest.raises(NoBlockError):
        inflate_tail(random.Random(1).randbytes(100_000))  # noqa: S311 - the same each time


def test_more_than_is_worth_it_is_not_fetched(wheel: Path) -> None:
    parts = _Server(wheel.read_bytes()).parts
    with pytest.raises(NoPartsError, match="most of it"):
        read_parts(parts, Depth.TEXT, most=0.1)
    assert parts.fetched < 100_000


@pytest.mark.parametrize("depth", [Depth.LINKS, Depth.TEXT], ids=lambda depth: depth.value)
@pytest.mark.parametrize("end", [0, 5_000], ids=["empty", "cut"])
def test_what_is_no_wheel_is_left_to_the_whole_file(wheel: Path, end: int, depth: Depth) -> None:
    with pytest.raises(NoPartsError):
        read_parts(_Server(wheel.read_bytes()[:end]).parts, depth)


def test_damage_never_reads_as_something_else_where_a_checksum_tells(wheel: Path) -> None:
    whole = read_facts(OnDisk(wheel), Depth.TEXT)
    content = wheel.read_bytes()
    chance = random.Random(7)  # noqa: S311 - the same each time
    refused = 0
    for _ in range(8):
        spot = chance.randrange(len(content))

        def change(start: int, part: bytes, spot: int = spot) -> bytes:
            if not start <= spot < start + len(part):
                return part
            return part[: spot - start] + bytes([part[spot - start] ^ 0x41]) + part[spot - start + 1 :]

        try:
            assert read_parts(_Server(content, change).parts, Depth.TEXT) == whole
        except NoPartsError:
            refused += 1
    assert refused
