"""Which images are here: a file for each image, and a file for each name that one has."""

from __future__ import annotations

import fcntl
import json
import os
import tarfile
import threading
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote

from cog_nix.errors import ImageError
from cog_nix.fetch.parallel import run_all
from cog_nix.image.delta import is_described
from cog_nix.image.description import ImageDescription, UnreadableImageError, with_tag
from cog_nix.image.layer_bytes import LayerBytes
from cog_nix.image.pieces import read
from cog_nix.image.project_files import FileChangedError
from cog_nix.image.written import written_archive
from cog_nix.plugins.spec import Held
from cog_nix.system import jsonvalue
from cog_nix.system.files import write_atomically
from cog_nix.system.jsonvalue import list_of, mapping_of, text_of
from cog_nix_hooks.bundle.layers import LayerStore, lock
from cog_nix_hooks.bundle.programs import Programs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.image.description import LayerDescription
    from cog_nix.report import Bar, Reporter

_ID = "sha256:"
_LOADING = "load.lock"


@dataclass(frozen=True)
class HeldImage:
    """An image whose layers are unpacked."""

    id: str
    """``sha256:…`` of its configuration."""
    diff_ids: tuple[str, ...]
    """From bottom to top."""
    config: dict[str, Any]
    """The ``config`` object of the OCI image configuration."""
    platform: str = "linux/amd64"
    """Operating system and architecture."""
    made_by: tuple[str, ...] = ()
    """What made each layer, as its history says; older ones are without it."""

    @classmethod
    def of(cls, image_id: str, diff_ids: Sequence[str], document: Mapping[str, Any]) -> Self:
        """Return the image of an OCI image configuration.

        Raises:
            ImageError: it is none.
        """
        try:
            config = _runnable(document.get("config"))
        except (ValueError, TypeError) as error:
            raise ImageError(
                f"The configuration of {image_id} is not one of an image: {error}",
                hint="Build it again, or report it to whoever made it.",
            ) from error
        platform = f"{document.get('os', 'linux')}/{document.get('architecture', 'amd64')}"
        steps = [one for one in document.get("history") or () if not one.get("empty_layer")]
        made_by = tuple(str(one.get("created_by") or "") for one in steps)
        return cls(image_id, tuple(diff_ids), config, platform, made_by)

    @property
    def labels(self) -> dict[str, str]:
        """The image's labels."""
        return self.config.get("Labels") or {}


def _runnable(config: object) -> dict[str, Any]:
    """Return what says how an image runs (image-spec, config.md, "config"), its fields as they have to be."""
    fields = mapping_of(config or {})
    for name in ("User", "WorkingDir"):
        text_of(fields.get(name) or "")
    for name in ("Env", "Entrypoint", "Cmd"):
        for one in list_of(fields.get(name) or []):
            text_of(one)
    for value in mapping_of(fields.get("Labels") or {}).values():
        text_of(value)
    return fields


class ImageStore:
    """The images of one user."""

    def __init__(self, root: Path, programs: Programs | None = None) -> None:
        self.root = root
        self.layers = LayerStore(root, programs or Programs())

    def find(self, reference: str) -> HeldImage | None:
        """Return the image of a name or id, or None; also when layers of it were removed by hand."""
        image_id = reference if reference.startswith(_ID) else self._named(reference)
        image = self._read(image_id) if image_id else None
        return image if image and all(map(self.layers.has, image.diff_ids)) else None

    def check(self, reference: str) -> None:
        """Refuse an image that is here but for files of its project, which have changed.

        Raises:
            FileChangedError: the first of them.
        """
        image_id = self._named(reference)
        image = self._read(image_id) if image_id else None
        for one in (
            one for diff_id in (image.diff_ids if image else ()) for one in self.layers.bound(diff_id)
        ):
            if not one.is_there:
                raise FileChangedError(one.source)

    def held(self, reference: str) -> Held | None:
        """Return what tells that an image is still here under its name; None when it is not."""
        image = self.find(reference)
        if image is None:
            return None
        files = [str(self._tag_file(reference)), str(self._image_file(image.id))]
        files += (one.source for diff_id in image.diff_ids for one in self.layers.bound(diff_id))
        layers = map(self.layers.folder, image.diff_ids)
        return Held(image.id, read=tuple(files), present=tuple(map(str, layers)))

    def named(self) -> Iterator[tuple[str, HeldImage]]:
        """Yield the images that have names, each with one of them."""
        for path in sorted((self.root / "tags").glob("[!.]*")):
            name = unquote(path.name)
            if image := self.find(name):
                yield name, image

    def load(self, program: Path, tags: Sequence[str], reporter: Reporter) -> str:
        """Unpack what is missing of a built image, and give it these names.

        Returns:
            The image's id.
        """
        described = ImageDescription.ask(program)
        image = HeldImage.of(described.id, described.diff_ids, described.config)
        held = {one.id if one else None for one in map(self.find, tags)}
        if held != {image.id}:
            with lock(self.root / _LOADING, fcntl.LOCK_EX):
                self._unpack(described, image, reporter)
                self._note(image, tags)
        return image.id

    def add(self, image: HeldImage, files: Mapping[str, Path], tag: str, reporter: Reporter) -> bool:
        """Hold an image whose missing layers are in files, and give it this name.

        Returns:
            Whether it is held now; False where layers have gone that are not among the files.
        """
        with lock(self.root / _LOADING, fcntl.LOCK_EX):
            missing = [one for one in dict.fromkeys(image.diff_ids) if not self.layers.has(one)]
            if not files.keys() >= set(missing):
                return False
            with reporter.bytes_bar(f"Unpacking {len(missing)} of {len(image.diff_ids)} layers", None) as bar:
                for diff_id in missing:
                    with files[diff_id].open("rb") as stream:
                        self.layers.unpack(stream, [diff_id], bar.advance)
            self._note(image, [tag])
        return True

    def _note(self, image: HeldImage, tags: Sequence[str]) -> None:
        """Note an image whose layers are there, and its names; what nothing names any more goes.

        Until then its layers belong to none, and another process would remove them: the lock is held.
        """
        write_atomically(self._image_file(image.id), json.dumps(asdict(image)).encode(), 0o600)
        before = {self._named(tag) for tag in tags}
        for tag in tags:
            write_atomically(self._tag_file(tag), image.id.encode(), 0o600)
        self._forget({one for one in before if one} - {image.id})

    def _unpack(self, built: ImageDescription, image: HeldImage, reporter: Reporter) -> None:
        missing = {one.diff_id: one for one in built.layers if not self.layers.has(one.diff_id)}
        if not missing:
            return  # another process was quicker
        text = f"Unpacking {len(missing)} of {len(image.diff_ids)} layers"
        with reporter.bytes_bar(text, sum(layer.size for layer in missing.values())) as bar:
            if is_described(built):
                self._unpack_parts(built, list(missing.values()), bar)
            else:
                self._unpack_written(built, missing.keys(), bar)

    def _unpack_parts(self, built: ImageDescription, missing: Sequence[LayerDescription], bar: Bar) -> None:
        """Unpack layers from the store, as many at once as there are processors."""

        def unpack(layer: LayerDescription) -> None:
            content = LayerBytes(layer, built.path.parent)
            if self.layers.bind(content):
                bar.advance(layer.size)
            else:
                self.layers.unpack_chunks(read(content.pieces()), [layer.diff_id], bar.advance)

        # The largest first: one that starts last would run on alone.
        tasks = [partial(unpack, layer) for layer in sorted(missing, key=lambda layer: -layer.size)]
        run_all(tasks, os.cpu_count() or 1, threading.Event())

    def _unpack_written(self, built: ImageDescription, missing: Collection[str], bar: Bar) -> None:
        """Unpack layers from what the image's program writes."""
        with written_archive(built, [one for one in built.diff_ids if one not in missing]) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                layers = (archive.extractfile(one) for one in archive if one.name.endswith(".tar"))
                found = {self.layers.unpack(one, missing, bar.advance) for one in layers if one}
            while stream.read(1 << 16):  # what follows the archive's end; the writer would miss its reader
                pass
        if left := set(missing) - found:
            raise UnreadableImageError(built.path, f"it has no layer {min(left)}")

    def _forget(self, replaced: set[str]) -> None:
        """Forget images that have lost their last name, and the layers that no image has any more."""
        tags = self.root / "tags"
        tags.mkdir(exist_ok=True)
        named = {path.read_text() for path in tags.iterdir() if not path.name.startswith(".")}
        for image_id in replaced - named:
            self._image_file(image_id).unlink(missing_ok=True)
        kept = (self._read(f"{_ID}{path.stem}") for path in (self.root / "images").glob("*.json"))
        self.layers.keep_only({diff_id for image in kept if image for diff_id in image.diff_ids})

    def _image_file(self, image_id: str) -> Path:
        return self.root / "images" / f"{quote(image_id.removeprefix(_ID), safe='')}.json"

    def _tag_file(self, reference: str) -> Path:
        return self.root / "tags" / quote(with_tag(reference), safe="")

    def _named(self, reference: str) -> str | None:
        try:
            return self._tag_file(reference).read_text()
        except OSError:
            return None

    def _read(self, image_id: str) -> HeldImage | None:
        try:
            document = mapping_of(jsonvalue.loads(self._image_file(image_id).read_bytes()))
            platform = text_of(document.get("platform", "linux/amd64"))  # older ones are without it
            diff_ids = tuple(map(text_of, list_of(document["diff_ids"])))
            made_by = tuple(map(text_of, list_of(document.get("made_by") or [])))
            config = _runnable(document["config"])
            return HeldImage(text_of(document["id"]), diff_ids, config, platform, made_by)
        except (OSError, ValueError, KeyError, TypeError):
            return None
