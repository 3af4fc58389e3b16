"""What two tars do not have in the same way."""

from __future__ import annotations

import io
import tarfile
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.errors import ImageError
from cog_nix.image import tars

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Member = tuple[str, bytes, dict[str, Any]]


def tar(*members: tuple[Any, ...], form: int = tarfile.PAX_FORMAT) -> bytes:
    """Write a tar of ``(path, contents, attributes)``."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as archive:
        for path, data, *more in members:
            info = tarfile.TarInfo(path)
            info.size = len(data)
            for name, value in (more[0] if more else {}).items():
                setattr(info, name, value)
            archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def opener(data: bytes) -> Callable[[], Any]:
    return lambda: nullcontext(io.BytesIO(data))


def compared(first: bytes, second: bytes, folder: Path) -> list[str]:
    return list(map(str, tars.compare(opener(first), opener(second), folder)))


def test_every_path_that_differs_is_named_in_the_order_of_the_first(tmp_path: Path) -> None:
    first = tar(("a", b"1"), ("b", b"same"), ("c", b"gone"), ("d", b"", {"mode": 0o755}))
    second = tar(("a", b"2"), ("b", b"same"), ("d", b"", {"mode": 0o600}), ("e", b"came"))
    assert compared(first, second, tmp_path) == [
        "a: bytes 0 to 0: b'1' and b'2'",
        "c is only in the first",
        "d: mode 0755 and 0600",
        "e is only in the second",
    ]
    assert (tmp_path / "first").read_bytes() == b"1"
    assert (tmp_path / "second").read_bytes() == b"2"


def test_a_range_goes_from_the_first_byte_that_differs_to_the_last(tmp_path: Path) -> None:
    large = bytearray(3 << 20)
    other = bytearray(large)
    other[1_500_000], other[2_500_000] = 1, 2
    (found,) = tars.compare(
        opener(tar(("model.bin", bytes(large)))), opener(tar(("model.bin", bytes(other)))), tmp_path
    )
    assert found.kind == "contents"
    assert found.range
    assert (found.range.start, found.range.end) == (1_500_000, 2_500_001)
    assert found.range.second.startswith(b"\1\0")


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        pytest.param(b"abc", b"abcdef", (3, 6), id="longer"),
        pytest.param(b"abcdef", b"abc", (3, 6), id="shorter"),
        pytest.param(b"", b"x", (0, 1), id="empty"),
        pytest.param(b"xbcx", b"ybcy", (0, 4), id="both ends"),
        pytest.param(b"abc", b"abc", None, id="the same"),
    ],
)
def test_ranges(ours: bytes, theirs: bytes, expected: tuple[int, int] | None) -> None:
    found = tars.first_range(io.BytesIO(ours), io.BytesIO(theirs))
    assert (found and (found.start, found.end)) == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        pytest.param({"uid": 1}, {"gid": 2}, "owner 1:0 and 0:2", id="owner"),
        pytest.param({"mtime": 5}, {"mtime": 6}, "time 5 and 6", id="time"),
        pytest.param(
            {"type": tarfile.SYMTYPE, "linkname": "x"},
            {"type": tarfile.SYMTYPE, "linkname": "y"},
            "target x and y",
            id="link",
        ),
        pytest.param(
            {"type": tarfile.SYMTYPE, "linkname": "x"}, {}, "type link and file; target x and none", id="type"
        ),
        pytest.param(
            {"pax_headers": {"SCHILY.xattr.user.a": "1"}},
            {},
            "attributes SCHILY.xattr.user.a=1 and none",
            id="extended attributes",
        ),
    ],
)
def test_attributes(ours: dict[str, Any], theirs: dict[str, Any], said: str, tmp_path: Path) -> None:
    found = compared(tar(("f", b"", ours)), tar(("f", b"", theirs)), tmp_path)
    assert found == [f"f: {said}"]


def test_the_same_files_in_another_order(tmp_path: Path) -> None:
    first, second = tar(("a", b""), ("b", b"")), tar(("b", b""), ("a", b""))
    assert compared(first, second, tmp_path) == ["a is in another place of the archive"]


def test_the_same_entries_in_another_form_of_tar(tmp_path: Path) -> None:
    first = tar(("a", b"x"), form=tarfile.USTAR_FORMAT)
    second = first + bytes(512)
    (found,) = tars.compare(opener(first), opener(second), tmp_path)
    assert (found.kind, found.path) == ("encoding", f"byte {len(first)}")


def test_what_is_no_tar_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not a tar"):
        tars.compare(opener(b"no tar" * 200), opener(tar(("a", b""))), tmp_path)
