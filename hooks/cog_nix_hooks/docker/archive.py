"""Gives an image to a daemon, and only the layers that it does not have.

What may be left out depends on how the daemon keeps images (:mod:`cog_nix_hooks.docker.images`):

- Docker's own stores key an extracted layer by its chain: the layer and everything below it (image-spec,
  "Layer ChainID"). Loading an archive, they look for the chain first and read the layer's file only when that
  is missing. So the files of a common prefix may be left out.
- containerd's store and Podman find layers by digest. So all that they hold may be left out of an OCI
  archive, whatever is below it. An image that was pulled has its layers compressed, under other digests, and
  the API of containerd's store does not tell: that is seen afterwards, and everything is sent.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

from cog_nix.errors import ImageError
from cog_nix.image.delta import OciImage, docker_archive, is_described
from cog_nix.image.description import ImageDescription, UnreadableImageError, with_tag
from cog_nix.image.pieces import counted
from cog_nix.image.written import written_archive
from cog_nix_hooks.docker import intermediate, prune
from cog_nix_hooks.docker.failures import DaemonError
from cog_nix_hooks.docker.images import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.image.pieces import Piece
    from cog_nix.report import Bar, Reporter
    from cog_nix_hooks.docker.images import ImageInfo, Images

_CHUNK = 1 << 20
_CANDIDATES = 300
"""At most so many held images are compared: asking for one takes 3 ms, with Podman 17 ms."""


def load_image(
    images: Images,
    program: Path,
    tags: Sequence[str],
    reporter: Reporter,
    *,
    in_background: Callable[[Callable[[], None]], object] = lambda do: do(),
) -> str:
    """Make the daemon hold an image under these tags, with as little copying as possible.

    Args:
        images: those of the daemon; it may have been told to expect this one.
        program: the built image.
        tags: ``name`` or ``name:tag``.
        reporter: shows the bytes that go over.
        in_background: called with what need not be waited for: removing the image that was replaced.

    Returns:
        The daemon's id of the image. With the containerd image store that is its manifest's, not its
        config's.

    Raises:
        ImageError: the archive cannot be made, or the daemon ends up with something else.
        RuntimeFailure: the daemon cannot be reached or refuses.
    """
    built = ImageDescription.ask(program)
    target = _Target(images, built, OciImage(built) if is_described(built) else None)
    expected = images.expected()
    named = [expected.get(tag) or images.find(tag) for tag in tags]
    if named and not expected and all(map(target.is_in, named)):
        return _id(named[0])
    held = images.find(target.id) if target.id else None
    if target.is_in(held):
        for tag in tags:
            images.tag(_id(held), tag)
    else:
        held = _deliver(target, tags, named, reporter)
    now = _id(held)
    in_background(lambda: prune.remove_replaced(images, named, now))
    return now


class _NotHeldError(ImageError):
    """The daemon took an archive and holds something else."""


@dataclass(frozen=True)
class _Target:
    """An image, and what it is to a daemon."""

    images: Images
    built: ImageDescription
    oci: OciImage | None
    """None: it stands for an archive, and only a whole Docker archive can be had of it."""

    @property
    def id(self) -> str | None:
        """The id that the daemon gives it; None: that is not known before it is loaded."""
        if self.images.store is Store.BLOBS:
            return self.oci.digest if self.oci else None
        return self.built.id

    def is_in(self, held: ImageInfo | None) -> bool:
        """Tell whether a held image is this one, with all its content."""
        if held is None or held.id != self.id:
            return False
        return self.images.store is not Store.BLOBS or self.images.is_whole(held)


def _id(held: ImageInfo | None) -> str:
    return held.id if held else ""


def held_layers(target: _Target, named: Sequence[ImageInfo | None]) -> tuple[str, ...]:
    """Return the digests of layers that need not be sent.

    Looks at what the tags name now, then at other images that cog-nix built.
    """
    wanted = target.built.diff_ids
    best: tuple[str, ...] = ()
    for held in islice(_candidates(target, named), _CANDIDATES):
        there = held.layers
        if target.images.store is Store.CHAINS:
            best = max(best, _common_prefix(wanted, there), key=len)
        else:
            best = tuple(one for one in wanted if one in best or one in there)
        # Nothing is won beyond the layers below the source's: that one differs, or the image would be here.
        if len(best) >= len(wanted) - 1:
            break
    return best


def _candidates(target: _Target, named: Sequence[ImageInfo | None]) -> Iterator[ImageInfo]:
    if target.images.store is not Store.CHAINS and not target.oci:
        return
    seen = {target.id}  # were it whole, nothing would be loaded
    for images in (filter(None, named), target.images.built_here()):
        for held in images:
            if held.id not in seen:
                seen.add(held.id)
                yield held


def _common_prefix(one: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    pairs = zip(one, other, strict=False)
    return tuple(layer for layer, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _deliver(
    target: _Target, tags: Sequence[str], named: Sequence[ImageInfo | None], reporter: Reporter
) -> ImageInfo:
    """Send what is not there; send everything where that was wrong."""
    skip = held_layers(target, named)
    try:
        return _send(target, tags, skip, reporter)
    except (DaemonError, _NotHeldError) as error:
        if not skip:
            raise
        reporter.log(f"{error}; sending all layers")
    return _send(target, tags, (), reporter)


def _send(target: _Target, tags: Sequence[str], skip: Collection[str], reporter: Reporter) -> ImageInfo:
    built = target.built
    sent = [layer for layer in built.layers if layer.diff_id not in skip]
    text = f"Loading {len(sent)} of {len(built.layers)} layers" if skip else "Loading the image"
    try:
        with reporter.bytes_bar(text, sum(layer.size for layer in sent)) as bar:
            messages = _load(target, tags, skip, bar, reporter)
        held = _loaded(target, tags, messages)
    except (DaemonError, _NotHeldError):
        _remove_broken(target)
        raise
    # Only what is whole gets a name. Until then the image that has it keeps it, and all that it is made of.
    for tag in tags if _in_layout(target, skip) else ():
        target.images.tag(_id(held), tag)
    return held


def _load(
    target: _Target, tags: Sequence[str], skip: Collection[str], bar: Bar, reporter: Reporter
) -> list[dict[str, Any]]:
    in_stages = target.oci and target.images.store is Store.CHAINS and target.images.local
    growing = intermediate.split(target.built, skip) if in_stages else [target.built]
    if len(growing) > 1:
        counted = partial(_counted, program=target.built.path, bar=bar)
        try:
            return intermediate.load(target.images, growing, list(map(with_tag, tags)), skip, counted)
        except DaemonError as error:  # somebody may have removed an image without a name meanwhile
            reporter.log(f"{error}; sending it all at once")
    return target.images.load(_archive(target, tags, skip, bar))


def _loaded(target: _Target, tags: Sequence[str], messages: Sequence[Mapping[str, object]]) -> ImageInfo:
    """Return what an archive became; a daemon may say that all is well, and it is not."""
    said = " ".join(str(message.get("stream", "")).strip() for message in messages)
    held = target.images.find(target.id or (with_tag(tags[0]) if tags else _loaded_id(said)))
    if held is None or held.layers != target.built.diff_ids or not (target.id is None or target.is_in(held)):
        raise _NotHeldError(
            f"Docker does not hold {target.built.id} after loading it: {said or 'it said nothing'}",
            hint="`docker load` of the archive by hand shows what the daemon makes of it.",
        )
    return held


def _remove_broken(target: _Target) -> None:
    """Remove an image whose blobs are not all there; containerd's store leaves such."""
    if target.images.store is not Store.BLOBS or not target.id:
        return
    held = target.images.find(target.id)
    if held and not target.is_in(held):
        for reference in held.names or [target.id]:
            with suppress(DaemonError):
                target.images.remove(reference)


def _in_layout(target: _Target, skip: Collection[str]) -> bool:
    """Tell whether an OCI archive is sent. Podman unpacks one before it reads it: only a delta is one."""
    store = target.images.store
    return target.oci is not None and (store is Store.BLOBS or (store is Store.PODMAN and bool(skip)))


def _archive(target: _Target, tags: Sequence[str], skip: Collection[str], bar: Bar) -> Iterator[Piece]:
    built, named = target.built, [with_tag(tag) for tag in tags]
    if target.oci and _in_layout(target, skip):
        archive: Iterator[Piece] = target.oci.archive(skip)
    else:
        archive = docker_archive(built, named, skip) if target.oci else _written(built, skip, named)
    return _counted(archive, built.path, bar)


def _counted(archive: Iterator[Piece], program: Path, bar: Bar) -> Iterator[Piece]:
    try:
        yield from counted(archive, bar)
    except OSError as error:
        raise UnreadableImageError(program, str(error)) from error


def _written(image: ImageDescription, skip: Collection[str], tags: Sequence[str]) -> Iterator[bytes]:
    """Yield what the image's program writes; one that fails half-way breaks the upload."""
    with written_archive(image, skip, tags) as stream:
        yield from iter(partial(stream.read, _CHUNK), b"")


def _loaded_id(said: str) -> str:
    return said.rpartition("Loaded image ID: ")[2].split()[0]
