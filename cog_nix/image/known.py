"""What is known of layers without having them: what each came to when it was made, by its store path.

A layer's store path follows from all that it is made of (``nix/known.nix``), so it is known before anything
is built or fetched. Whoever built it once can say what came of it; that is all that an image's configuration
and manifest need.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from cog_nix.system.jsonvalue import list_of, mapping_of, size_of, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Keys:
    """Under what an image's layers would be known."""

    layers: tuple[str, ...]
    """Names of store paths, from bottom to top, without the project's own layer."""
    frozen: str | None
    """Of which distributions are in the image; None: they are told otherwise."""

    @classmethod
    def parse(cls, data: Any) -> Keys:
        """Read what ``nix/known.nix`` says.

        Raises:
            ValueError: it is not that.
            TypeError: the same.
        """
        found = mapping_of(data)
        layers = tuple(text_of(one) for one in list_of(found["layers"]) if one is not None)
        return cls(layers, found["frozen"] if found["frozen"] is None else text_of(found["frozen"]))


@dataclass(frozen=True)
class KnownLayer:
    """What a layer came to."""

    diff_id: str
    """``sha256:…`` of the tar (OCI image-spec, "Layer DiffID")."""
    size: int
    """Bytes of the tar."""
    digest: str
    """``sha256:…`` of the blob."""
    compressed: int
    """Bytes of the blob."""

    @classmethod
    def parse(cls, data: Any) -> KnownLayer:
        """Read one.

        Raises:
            ValueError: it is not that.
            TypeError: the same.
            KeyError: the same.
        """
        found = mapping_of(data)
        diff_id, digest = text_of(found["diff_id"]), text_of(found["digest"])
        if not (_DIGEST.fullmatch(diff_id) and _DIGEST.fullmatch(digest)):
            raise ValueError("a digest is not sha256: and 64 digits")
        return cls(diff_id, size_of(found["size"]), digest, size_of(found["compressed"]))


@dataclass(frozen=True)
class Known:
    """What is known, by key."""

    layers: Mapping[str, KnownLayer] = field(default_factory=dict)
    frozen: Mapping[str, str] = field(default_factory=dict)
    """What ``pip freeze`` prints."""

    @classmethod
    def parse(cls, data: Any) -> Known:
        """Read what :meth:`document` returns, as ``nix/builders/oci.py`` writes it too.

        Raises:
            ValueError: it is not that.
            TypeError: the same.
            KeyError: the same.
        """
        found = mapping_of(data)
        layers = {key: KnownLayer.parse(one) for key, one in mapping_of(found["layers"]).items()}
        return cls(layers, {key: text_of(text) for key, text in mapping_of(found["frozen"]).items()})

    def of(self, keys: Keys) -> Known:
        """Return what concerns an image."""
        frozen = {key: text for key, text in self.frozen.items() if key == keys.frozen}
        return Known({key: self.layers[key] for key in keys.layers if key in self.layers}, frozen)

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"layers": {key: asdict(one) for key, one in self.layers.items()}, "frozen": dict(self.frozen)}
