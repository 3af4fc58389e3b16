"""The sizes of a layer's files."""

from __future__ import annotations

import io
import os

import pytest

from cog_nix.explain.contents import Contents, hidden, read
from cog_nix.image.compression import BrokenLayerError
from cog_nix_hooks.debian.database import DPKG

from .samples import BASE, tar


def contents(data: bytes, blob: int = 0) -> Contents:
    return read(io.BytesIO(data), blob, lambda _: None, DPKG)


def test_files_have_three_sizes_that_add_up() -> None:
    noise = os.urandom(50_000)
    data = tar({"a/noise": noise, "a/zeros": bytes(50_000), "b": b"1"})
    found = contents(data)
    by_path = {one.path: one.sizes for one in found.files}
    assert {path: one.disk for path, one in by_path.items()} == {
        "a": 0,
        "a/noise": 53248,
        "a/zeros": 53248,
        "b": 4096,
    }
    assert sum(one.stored for one in by_path.values()) == found.sizes.stored == len(data)
    assert by_path["a/noise"].stored == 512 + 50_176
    assert abs(sum(one.pulled for one in by_path.values()) - found.sizes.pulled) <= len(by_path)
    assert found.sizes.disk == 2 * 53248 + 4096
    assert 40_000 < by_path["a/noise"].pulled + by_path["a/zeros"].pulled < 60_000
    assert found.estimated


def test_what_a_registry_has_is_no_estimate() -> None:
    data = tar(BASE)
    found = contents(data, 1234)
    assert not found.estimated
    assert found.sizes.pulled == 1234
    assert abs(sum(one.sizes.pulled for one in found.files) - 1234) <= len(found.files)
    assert contents(data, len(data)).estimated, "an archive with plain tars does not tell"


def test_reading_is_told() -> None:
    data, seen = tar(BASE), 0

    def advance(count: int) -> None:
        nonlocal seen
        seen += count

    read(io.BytesIO(data), 0, advance, DPKG)
    assert seen == len(data)


def test_databases_are_kept() -> None:
    assert set(contents(tar(BASE)).databases) == {
        "var/lib/dpkg/info/bash.list",
        "var/lib/dpkg/info/libc6:amd64.list",
    }


@pytest.mark.parametrize(
    "data", [b"no tar at all, and long enough" * 100, tar(BASE)[:7000]], ids=["text", "cut"]
)
def test_what_is_no_layer_is_an_error(data: bytes) -> None:
    with pytest.raises(BrokenLayerError, match="it is not a tar"):
        contents(data)


def test_what_layers_above_replace_or_remove_is_hidden() -> None:
    layers = [
        contents(
            tar({"kept": b"", "replaced": b"1", "removed": b"", "whole/folder/file": b"", "opaque/old": b""})
        ),
        contents(
            tar(
                {
                    "replaced": b"2",
                    ".wh.removed": b"",
                    ".wh.whole": b"",
                    "opaque/.wh..wh..opq": b"",
                    "opaque/new": b"",
                }
            )
        ),
        contents(tar({"removed": b"again"})),
    ]
    found = {(number, one.path) for number, one in hidden(layers)}
    assert found == {(0, "replaced"), (0, "removed"), (0, "whole/folder/file"), (0, "opaque/old")}
