"""The bytes of a layer's tar, from any place on: ranges of files in the store, and files of the project."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.image.description import ImageDescription, ProjectFiles
from cog_nix.image.pieces import END, ranges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.image.description import LayerDescription
    from cog_nix.image.pieces import Piece
    from cog_nix.image.project_files import Located


class LayerBytes:
    """A layer's tar.

    Args:
        layer: one that has parts.
        store: the folder that holds the store paths, ``/nix/store`` or where that really is.
    """

    def __init__(self, layer: LayerDescription, store: Path) -> None:
        self.layer, self._store = layer, store
        self.located = cache(self._locate)
        """Returns the files of the project that it has, found; None where it has none."""

    def pieces(self, start: int = 0) -> Iterator[Piece]:
        """Yield the tar from a byte on.

        Raises:
            OSError: the store cannot be read.
            ImageError: a file of the project's is not what it was.
        """
        current, opened = "", io.FileIO("/dev/null")
        at = 0
        try:
            for part in self.layer.parts:
                skipped = min(max(start - at, 0), part.size)
                at += part.size
                if skipped == part.size:
                    continue
                if isinstance(part, ProjectFiles):
                    located = self.located()
                    assert located is not None  # noqa: S101 - for the type checker: this part is one
                    yield from located.pieces(skipped)
                    continue
                if part.path != current:
                    opened.close()
                    current, opened = part.path, io.FileIO(self._real(part.path))
                yield from ranges(opened, part.offset + skipped, part.size - skipped)
        finally:
            opened.close()
        yield END[max(start - at, 0) :]

    def _real(self, path: str) -> Path:
        return self._store / Path(path).relative_to("/nix/store")

    def _locate(self) -> Located | None:
        part = next((one for one in self.layer.parts if isinstance(one, ProjectFiles)), None)
        if part is None:
            return None
        from cog_nix.image.project_files import located  # noqa: PLC0415 - most images have no such files

        return located(self.layer.diff_id, self._real(part.path))


def outside_of(layout: Path) -> list[LayerBytes]:
    """Return the layers that a layout of Nix's names and does not have: their files are the project's.

    Args:
        layout: an OCI image layout, with a link to the image beside it where Nix made it.

    Raises:
        ImageError: the image cannot be read.
    """
    link = layout / "image"
    if not link.is_symlink():
        return []
    return layers_outside(ImageDescription.read(layout.parent / link.readlink().name))


def layers_outside(image: ImageDescription) -> list[LayerBytes]:
    """Return the layers of an image, each once, whose files are not in the store."""
    layers = {one.diff_id: one for one in image.layers if one.is_outside}
    return [LayerBytes(one, image.path.parent) for one in layers.values()]
