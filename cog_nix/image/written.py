"""What a built image's own program writes, for images that do not say what their layers are made of."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from cog_nix.image.description import UnreadableImageError
from cog_nix.system.processes import spawn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from cog_nix.image.description import ImageDescription


@contextmanager
def written_archive(
    image: ImageDescription, skip: Collection[str], tags: Sequence[str] = ()
) -> Iterator[IO[bytes]]:
    """Yield the Docker archive that an image's program writes; all of it has to be read.

    Args:
        image: whose.
        skip: digests of layers to leave out.
        tags: references to give the image, ``name:tag``.

    Raises:
        ImageError: the program cannot be started or fails, or what it wrote is no archive.
    """
    options = [word for one in image.diff_ids if one in skip for word in ("--skip", one)]
    options += [word for tag in tags for word in ("--tag", tag)]
    with tempfile.TemporaryFile() as complaints:
        try:
            process = spawn([image.path, *options], stdout=subprocess.PIPE, stderr=complaints)
        except OSError as error:
            raise UnreadableImageError(image.path, str(error)) from error
        with process:
            assert process.stdout is not None  # noqa: S101 - for the type checker: it was asked for
            try:
                yield process.stdout
            except (tarfile.TarError, EOFError) as error:
                process.stdout.close()
                process.wait()
                raise UnreadableImageError(image.path, _text(complaints) or str(error)) from error
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise UnreadableImageError(image.path, _text(complaints))


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode("utf-8", "replace")
