"""A large image on its way into Docker's own store, as intermediate images of a few more layers each.

Docker writes an archive to its disk, reads that again and unpacks its layers, one after the other: an image
of 6 GB is written whole before the first layer is unpacked. So the image is sent as images that grow by some
layers each, without a name. While Docker unpacks one, the layers of the next two are written; what it was
sent of the last is gone before the disk has to take it.

An image that grows needs its layers below: the end of each archive, which says what it is, waits until the
one before was unpacked. All but the last are removed again; their layers belong to the last by then. What a
killed process leaves is found by the next load, which goes on from there: the ids are always the same.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cog_nix.image.delta import docker_archive_end, docker_archive_layers
from cog_nix.system.digests import digest_of
from cog_nix_hooks.docker.failures import DaemonError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from cog_nix.image.description import ImageDescription
    from cog_nix.image.pieces import Piece
    from cog_nix_hooks.docker.images import Images

_STAGE = 400 << 20
"""Bytes that are sent at once; a layer stays whole."""
_WORTH = 1 << 30
"""Bytes from which on it saves more than the additional requests cost."""
_AT_ONCE = 3
"""One is unpacked, one waits for it, and one is sent: a layer of a gigabyte is there when its turn comes."""
_POLL = 0.1
_KEPT = ("architecture", "os", "created")


def split(image: ImageDescription, skip: Collection[str]) -> list[ImageDescription]:
    """Return the images that one grows through, itself last; itself alone when it is not worth it."""
    sizes = [0 if layer.diff_id in skip else layer.size for layer in image.layers]
    found: list[ImageDescription] = []
    pending = 0
    for count, size in enumerate(sizes[:-1] if sum(sizes) >= _WORTH else [], 1):
        pending += size
        if pending >= _STAGE:
            found.append(_first(image, count))
            pending = 0
    return [*found, image]


def _first(image: ImageDescription, count: int) -> ImageDescription:
    """Return an image of the lowest layers of another."""
    layers = image.layers[:count]
    config = {
        **{name: image.config[name] for name in _KEPT if name in image.config},
        # By its labels it is known as ours.
        "config": {"Labels": (image.config.get("config") or {}).get("Labels") or {}},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
    }
    text = json.dumps(config, sort_keys=True).encode()
    digest = digest_of(text)
    return replace(image, id=digest, layers=layers, config=config, text=text)


def load(
    images: Images,
    growing: Sequence[ImageDescription],
    tags: Sequence[str],
    skip: Collection[str],
    counted: Callable[[Iterator[Piece]], Iterator[Piece]],
) -> list[dict[str, Any]]:
    """Load an image by way of intermediate ones; return what the daemon said of the last.

    Args:
        images: of the daemon.
        growing: what :func:`split` returned.
        tags: references to give the image, ``name:tag``.
        skip: digests of layers that need not be sent.
        counted: passes an archive on and shows its bytes.

    Raises:
        DaemonError: the daemon does not take it.
        ImageError: the store cannot be read.
    """
    from cog_nix.fetch.parallel import run_all  # noqa: PLC0415 - costs 20 ms; few images are so large

    cancelled = threading.Event()
    held = [threading.Event() for _ in growing]

    def send(number: int) -> list[dict[str, Any]]:
        image, below = growing[number], growing[number - 1].diff_ids if number else ()
        before = held[number - 1] if number else None
        named = tags if image is growing[-1] else ()
        said = images.load(counted(_archive(image, {*skip, *below}, named, before, cancelled)))
        held[number].set()
        return said

    try:
        return run_all([partial(send, number) for number in range(len(growing))], _AT_ONCE, cancelled)[-1]
    finally:
        # Also those that a killed process left, which may have sent others.
        for count in range(1, len(growing[-1].layers)):
            with suppress(DaemonError):
                images.remove(_first(growing[-1], count).id)


def _archive(
    image: ImageDescription,
    skip: Collection[str],
    tags: Sequence[str],
    before: threading.Event | None,
    cancelled: threading.Event,
) -> Iterator[Piece]:
    """Yield an image's archive, whose end waits until the image that it grows from is held."""
    from cog_nix.fetch.retry import Cancelled  # noqa: PLC0415 - as above

    for piece in docker_archive_layers(image, skip):
        if cancelled.is_set():
            raise Cancelled
        yield piece
    while before and not before.wait(_POLL):
        if cancelled.is_set():
            raise Cancelled
    yield docker_archive_end(image, tags)
