"""What is remembered of a compressed layer of large files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.image.layer_bytes import LayerBytes
from cog_nix.image.project_files import BY_DIGEST, FOLDER
from cog_nix.registry import packed
from cog_nix.report import SilentReporter
from tests.hooks.docker.described import DescribedStore

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix.system.packing import Packing


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_another_level_is_another_memory(
    packing: Packing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = DescribedStore(tmp_path / "store").build({"a": b"some words, " * 400_000})
    layer = LayerBytes(image.layers[0], tmp_path / "store")
    (tmp_path / FOLDER / BY_DIGEST / layer.layer.diff_id.removeprefix("sha256:")).mkdir(parents=True)

    def compressed() -> packed.Compressed:
        codec = packed.codec_of(packing)
        assert codec
        return packed.compress(layer, codec, SilentReporter(), tmp_path)

    first = compressed()
    codec = packed.codec_of(packing)
    assert codec
    silent = replace(codec, compress=lambda _: pytest.fail("it is compressed again"))
    assert packed.compress(layer, silent, SilentReporter(), tmp_path) == first
    monkeypatch.setattr(packed, f"_{packing.upper()}_LEVEL", 6)
    assert compressed().digest != first.digest
