"""Gives an image to the daemon, and only the layers that it does not have.

Docker's overlay2 store keys an extracted layer by its chain: the layer and everything below it (image-spec,
"Layer ChainID"). Loading an archive, it looks for the chain first and reads the layer's file only when that
is missing. So the files of a common prefix may be left out: 0.19 s instead of 2.6 s for a 727 MB image with
one changed layer. The containerd image store keeps blobs and wants them all.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from typing import IO, TYPE_CHECKING, Any

from cog_nix.errors import ImageError
from cog_nix.image import ImageDescription, unreadable, with_tag
from cog_nix_hooks.docker.engine import Refused

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from cog_nix.report import Bar, Reporter
    from cog_nix_hooks.docker.engine import Engine

_CHUNK = 1 << 20
_CONTAINERD = ["driver-type", "io.containerd.snapshotter.v1"]
_CANDIDATES = 300
"""At most so many held images are compared: asking for one takes 3 ms."""


def load_image(
    engine: Engine, program: Path, tags: Sequence[str], reporter: Reporter, *, whole: bool = False
) -> str:
    """Make the daemon hold an image under these tags, with as little copying as possible.

    Args:
        engine: the daemon.
        program: the built image.
        tags: ``name`` or ``name:tag``.
        reporter: shows the bytes that go over.
        whole: send all layers, to a daemon that does not look for those that it has.

    Returns:
        The daemon's id of the image. With the containerd image store that is its manifest's, not its
        config's.

    Raises:
        ImageError: the archive cannot be made, or the daemon ends up with something else.
        RuntimeFailure: the daemon cannot be reached or refuses.
    """
    built = ImageDescription.ask(program)
    if engine.get(f"/images/{built.id}/json"):
        for tag in tags:
            _tag(engine, built.id, tag)
        return built.id
    containerd = _CONTAINERD in (engine.get("/info").get("DriverStatus") or [])
    held = 0 if containerd or whole else held_layers(engine, built.diff_ids, tags)
    try:
        messages = _stream(engine, built, tags, held, reporter)
    except Refused as error:
        if not held:
            raise
        reporter.log(f"{error}; sending all layers")
        messages = _stream(engine, built, tags, 0, reporter)
    return _verify(engine, built, tags, messages, containerd=containerd)


def held_layers(engine: Engine, diff_ids: Sequence[str], tags: Sequence[str]) -> int:
    """Return how many of the lowest layers the daemon has as a chain.

    Looks at what the tags name now, then at other images that cog-nix built; Docker can filter by labels.
    """
    best = 0
    seen: set[str] = set()
    for reference in _references(engine, tags):
        image = engine.get(f"/images/{reference}/json")
        if not image or image["Id"] in seen:
            continue
        seen.add(image["Id"])
        layers = (image.get("RootFS") or {}).get("Layers") or []
        best = max(best, _common_prefix(diff_ids, layers))
        # Nothing is won beyond the layers below the source's: that one differs, or the image would be here.
        if best >= len(diff_ids) - 1 or len(seen) == _CANDIDATES:
            break
    return best


def _references(engine: Engine, tags: Sequence[str]) -> Iterator[str]:
    yield from tags
    for image in engine.get("/images/json", {"filters": json.dumps({"label": ["run.cog.nix.lock"]})}) or []:
        yield image["Id"]


def _common_prefix(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = zip(one, other, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _stream(
    engine: Engine, built: ImageDescription, tags: Sequence[str], held: int, reporter: Reporter
) -> list[dict[str, Any]]:
    skipped = [option for diff_id in built.diff_ids[:held] for option in ("--skip", diff_id)]
    named = [option for tag in tags for option in ("--tag", with_tag(tag))]
    total = sum(built.sizes[held:])
    layers = len(built.diff_ids)
    text = f"Loading {layers - held} of {layers} layers" if held else "Loading the image"
    with reporter.bytes_bar(text, total) as bar, tempfile.TemporaryFile() as complaints:
        archive = _archive([str(built.path), *skipped, *named], built.path, complaints, bar)
        try:
            return engine.post("/images/load", {"quiet": "1"}, archive)
        finally:
            archive.close()


def _archive(command: list[str], program: Path, complaints: IO[bytes], bar: Bar) -> Generator[bytes]:
    """Yield the archive; a program that fails half-way breaks the upload instead of ending it neatly."""
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints)
    except OSError as error:
        raise unreadable(program, str(error)) from error
    try:
        assert process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
        while chunk := process.stdout.read(_CHUNK):
            yield chunk
            bar.advance(len(chunk))
        if process.wait():
            complaints.seek(0)
            raise unreadable(program, complaints.read().decode("utf-8", "replace"))
    finally:
        process.kill()
        process.communicate()


def _verify(
    engine: Engine,
    built: ImageDescription,
    tags: Sequence[str],
    messages: list[dict[str, Any]],
    *,
    containerd: bool,
) -> str:
    reference = built.id if not containerd else (tags[0] if tags else _loaded_id(messages))
    image = engine.get(f"/images/{reference}/json") or {}
    layers = tuple((image.get("RootFS") or {}).get("Layers") or ())
    if layers != built.diff_ids:
        raise ImageError(
            f"Docker does not hold {built.id} after loading it: {_said(messages)}",
            hint="`docker load` of the archive by hand shows what the daemon makes of it.",
        )
    return str(image["Id"])


def _loaded_id(messages: list[dict[str, Any]]) -> str:
    return _said(messages).rpartition("Loaded image ID: ")[2].split()[0]


def _said(messages: list[dict[str, Any]]) -> str:
    return " ".join(str(message.get("stream", "")).strip() for message in messages) or "it said nothing"


def _tag(engine: Engine, image_id: str, name: str) -> None:
    repository, _, tag = with_tag(name).rpartition(":")
    engine.post(f"/images/{image_id}/tag", {"repo": repository, "tag": tag})
