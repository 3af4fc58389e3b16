from __future__ import annotations

import pytest

from cog_nix.system.packing import packing_in

_OCI = "application/vnd.oci.image.layer.v1.tar"
_CHUNKED = {"io.github.containers.zstd-chunked.manifest-checksum": "sha256:1"}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([{"mediaType": f"{_OCI}+gzip"}, {"mediaType": _OCI}], "gzip"),
        ([{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}], "gzip"),
        ([{"mediaType": f"{_OCI}+zstd"}, {"mediaType": _OCI}], "zstd"),
        ([{"mediaType": f"{_OCI}+zstd", "annotations": _CHUNKED}], "zstd:chunked"),
        ([{"mediaType": _OCI}], "none"),
        ([], "none"),
    ],
)
def test_a_manifest_tells_how_layers_are_compressed(layers: list[dict[str, object]], expected: str) -> None:
    assert packing_in(layers) == expected
