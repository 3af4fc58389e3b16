"""What the registry has of a weight: its manifest, its configuration, and the tag that keeps both.

Upstream's ``specs/draft-weights.md``, sections 2.1 to 2.5; keys stand in the order of its structs.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from cog_nix.config.label import ESCAPED
from cog_nix.system.digests import digest_of

if TYPE_CHECKING:
    from cog_nix.weights.model import LockedWeight

ARTIFACT = "application/vnd.cog.weight.v1"
"""``artifactType`` of a weight's manifest."""
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.cog.weight.config.v1+json"
_ANNOTATION = "run.cog.weight"
_LONGEST = 104
"""Characters of a name that a tag takes."""
_DIGITS = 12


def config(weight: LockedWeight) -> bytes:
    """Return the configuration of a weight: which files it has, and in which layers."""
    return _compact(
        {
            "name": weight.name,
            "target": weight.target,
            "setDigest": weight.set_digest,
            "files": [
                {"path": file.path, "layer": file.layer, "size": file.size, "digest": file.digest}
                for file in weight.files
            ],
        }
    )


def manifest(weight: LockedWeight) -> bytes:
    """Return the manifest of a weight."""
    described = config(weight)
    return _compact(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": ARTIFACT,
            "config": {"mediaType": _CONFIG, "size": len(described), "digest": digest_of(described)},
            "layers": [
                {
                    "mediaType": layer.media_type,
                    "size": layer.size,
                    "digest": layer.digest,
                    "annotations": {f"{_ANNOTATION}.size.uncompressed": str(layer.content_size)},
                }
                for layer in weight.layers
            ],
            "annotations": {
                f"{_ANNOTATION}.name": weight.name,
                f"{_ANNOTATION}.set-digest": weight.set_digest,
                f"{_ANNOTATION}.target": weight.target,
            },
        }
    )


def tag(weight: LockedWeight) -> str:
    """Return the tag of a weight's manifest."""
    name = re.sub("-+", "-", re.sub("[^A-Za-z0-9_-]", "-", weight.name)).strip("-")
    name = name[:_LONGEST].rstrip("-") or "unnamed"
    return f"cog-weight.{name}.{weight.set_digest.partition(':')[2][:_DIGITS]}"


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(ESCAPED).encode()
