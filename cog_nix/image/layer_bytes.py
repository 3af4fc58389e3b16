"""The bytes of a layer's tar, from any place on: ranges of files in the store, and files of the project.

:meth:`LayerBytes.opened` is the same as a file that is read and sought in.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cog_nix.image.description import ImageDescription, ProjectFiles
from cog_nix.image.pieces import END, part_of, ranges, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from cog_nix.image.description import LayerDescription
    from cog_nix.image.pieces import Piece
    from cog_nix.image.project_files import Located


_BUFFER = 1 << 18


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

    def opened(self) -> BinaryIO:
        """Return the tar as a file; what lies between two places of it is not read.

        Reading it raises what :meth:`pieces` does.
        """
        return cast("BinaryIO", io.BufferedReader(_Tar(self), _BUFFER))

    def _real(self, path: str) -> Path:
        return self._store / Path(path).relative_to("/nix/store")

    def _locate(self) -> Located | None:
        part = next((one for one in self.layer.parts if isinstance(one, ProjectFiles)), None)
        if part is None:
            return None
        from cog_nix.image.project_files import located  # noqa: PLC0415 - most images have no such files

        return located(self.layer.diff_id, self._real(part.path))


class _Tar(io.RawIOBase):
    """A layer's tar as a file: the piece that is read from, and those after it."""

    def __init__(self, layer: LayerBytes) -> None:
        self._layer, self._size = layer, layer.layer.size
        self._pieces = layer.pieces()
        self._piece: Piece = b""
        self._begin = self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence] + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at < self._begin:
            self._pieces, self._piece, self._begin = self._layer.pieces(self._at), b"", self._at
        while self._at >= self._begin + size_of(self._piece):
            self._begin += size_of(self._piece)
            piece = next(self._pieces, None)
            self._piece = piece or b""
            if piece is None:
                return 0
        inside = self._at - self._begin
        size = min(len(buffer), size_of(self._piece) - inside)
        buffer[:size] = part_of(self._piece, inside, size)
        self._at += size
        return size

    def close(self) -> None:
        self._pieces = iter(())  # closes the file that is open
        super().close()


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
