"""An image that is compared with another one, wherever it is: its description, and its layers on demand."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Any

from cog_nix.errors import ImageError
from cog_nix.image.compression import decompressed
from cog_nix.image.description import UnreadableImageError
from cog_nix.image.layer_bytes import LayerBytes
from cog_nix.system import jsonvalue
from cog_nix.system.digests import digest_of
from cog_nix.system.jsonvalue import list_of, mapping_of
from cog_nix.system.packing import USUAL
from cog_nix.system.platforms import Platform, parse_platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from cog_nix.image.archive_program import Archive
    from cog_nix.image.description import ImageDescription, LayerDescription
    from cog_nix.system.packing import Packing

Tar = IO[bytes]
"""A layer's tar, which is read once from its beginning."""


class NotKeptError(ImageError):
    """An image's layers cannot be read where it is.

    Args:
        title: of the image.
    """

    def __init__(self, title: str) -> None:
        super().__init__(hint="Name an archive of the image, or its lock.")
        self.title = title

    def __str__(self) -> str:
        return f"{self.title}: its layers are kept unpacked, and not as they were."


class NotAnImageError(ImageError):
    """What should be the configuration of an image is none.

    Args:
        title: of the image.
        reason: what is wrong with it.
    """

    def __init__(self, title: str, reason: str) -> None:
        super().__init__(hint="Build it again, or ask whoever made it.")
        self.title, self.reason = title, reason

    def __str__(self) -> str:
        return f"The configuration of {self.title} is not one of an image: {self.reason}"


@dataclass(frozen=True)
class Layer:
    """One layer of an image."""

    diff_id: str
    """``sha256:…`` of its tar (OCI image-spec, "Layer DiffID")."""
    size: int = 0
    """Bytes: of its tar, or of its blob where only that is known; 0: not known."""
    name: str = ""
    """What it holds, where the image says that."""
    digest: str = ""
    """``sha256:…`` of its blob, in a registry."""


@dataclass(frozen=True)
class Subject:
    """An image."""

    title: str
    """What it is called when it is told of."""
    id: str
    """``sha256:…`` of its configuration (OCI image-spec, "ImageID")."""
    config: dict[str, Any]
    """What that says (config.md); of a runtime that keeps no more, ``config`` alone."""
    layers: tuple[Layer, ...]
    """From bottom to top."""
    open: Callable[[int], AbstractContextManager[Tar]] | None = field(compare=False)
    """Yields the tar of a layer by its number, from 0; None: they are not kept as tars."""
    manifests: tuple[str, ...] = ()
    """``sha256:…`` of its manifest; of one that was built, in both media types. None: it has none."""
    packing: Packing = USUAL
    """How its layers are compressed, in a registry."""
    compressed: bool = False
    """Whether the layers' sizes are those of blobs, as a registry has them."""
    remade: bool = False
    """Whether its layers are read as tars of their files, which are not those that the digests are of."""
    whole: Callable[[], Subject] | None = field(default=None, compare=False)
    """Reads what is not known yet; None: all of it is."""

    @property
    def platform(self) -> Platform | None:
        """What it is for; None: it does not say, or it is something that cog-nix makes no images for."""
        system, architecture = self.config.get("os"), self.config.get("architecture")
        return parse_platform(f"{system}/{architecture}")

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        labels = (self.config.get("config") or {}).get("Labels") or {}
        return {str(name): str(value) for name, value in labels.items()}


def parsed(text: bytes, title: str) -> dict[str, Any]:
    """Return what a configuration says, whose parts that are read are of the types that they should be.

    Raises:
        NotAnImageError: it is none.
    """
    try:
        found = mapping_of(jsonvalue.loads(text))
        config = mapping_of(found.get("config") or {})
        mapping_of(config.get("Labels") or {})
        list_of(config.get("Env") or [])
        for step in list_of(found.get("history") or []):
            mapping_of(step)
    except (ValueError, TypeError) as error:
        raise NotAnImageError(title, str(error)) from error
    return found


def of_built(image: ImageDescription, title: str, manifests: tuple[str, ...] = ()) -> Subject:
    """Return an image that is in a Nix store.

    Args:
        image: one that says what its layers are made of.
        title: what to call it.
        manifests: digests, where it was built with its blobs.
    """
    layers = tuple(Layer(one.diff_id, one.size, one.name) for one in image.layers)

    @contextmanager
    def opened(number: int) -> Iterator[Tar]:
        with LayerBytes(_complete(image, number), image.path.parent).opened() as tar:
            yield tar

    return Subject(title, image.id, image.config, layers, opened, manifests)


def _complete(image: ImageDescription, number: int) -> LayerDescription:
    layer = image.layers[number]
    if not layer.parts:
        raise UnreadableImageError(image.path, "it does not say what its layers are made of")
    return layer


def of_archive(archive: Archive, title: str) -> Subject:
    """Return the image of an archive or layout, which is open for as long as it is compared.

    Raises:
        NotAnImageError: its configuration is none.
    """
    config = parsed(archive.text, title)
    sizes = archive.described()["sizes"]
    layers = tuple(Layer(*one) for one in zip(archive.diff_ids, sizes, strict=True))
    image_id = digest_of(archive.text)
    return Subject(title, image_id, config, layers, partial(open_layer, archive))


@contextmanager
def open_layer(archive: Archive, number: int) -> Iterator[Tar]:
    """Yield the tar of an archive's layer, decompressed.

    Raises:
        ImageError: it cannot be read.
    """
    stream, _ = archive.files.open(archive.layers[number].name)
    with stream, decompressed(stream) as tar:
        yield tar
