"""Finds the image that a name stands for: a file, one that a runtime holds, or one in a registry.

``docker://NAME`` is in a registry in any case; ``oci:FOLDER``, ``oci-archive:FILE`` and
``docker-archive:FILE`` are files, as skopeo has it. A name without any of these is looked for in this order.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.compare import subject
from cog_nix.compare.subject import Layer, NotKeptError, Subject
from cog_nix.errors import CogNixError, ImageError
from cog_nix.image import archive_program, delta
from cog_nix.image.archives import KINDS
from cog_nix.image.compression import decompressed
from cog_nix.image.description import ImageDescription, store_of, with_tag
from cog_nix.plugins.spec import ExaminedRuntime, SavingRuntime, UnpackedRuntime
from cog_nix.registry.reference import Reference, is_host
from cog_nix.system import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cog_nix.compare.subject import Tar
    from cog_nix.plugins.spec import Runtime
    from cog_nix.report import Reporter
    from cog_nix.system.platforms import Platform

_REGISTRY = "docker://"


class NoSuchImageError(ImageError):
    """A name stands for no image.

    Args:
        name: it.
        looked: where it was looked for, and what was said there.
    """

    def __init__(self, name: str, looked: tuple[str, ...]) -> None:
        super().__init__(
            hint="Name a file, an image that the runtime holds, or REGISTRY/IMAGE:TAG. "
            "`cog-nix build` makes the one of this project."
        )
        self.name, self.looked = name, looked

    def __str__(self) -> str:
        return "\n".join([f"There is no image {self.name}.", *(f"  {one}" for one in self.looked)])


@contextmanager
def opened(
    name: str,
    find_runtime: Callable[[], Runtime],
    reporter: Reporter,
    platform: Platform | None = None,
) -> Iterator[Subject]:
    """Yield the image of a name.

    Args:
        name: as the module's docstring says.
        find_runtime: returns the runtime, usable or not; called only when the name is not a file.
        reporter: shows what comes from a registry.
        platform: what one in a registry has to be for; None: of several, what is for this machine.

    Raises:
        CogNixError: there is none, or it cannot be read.
    """
    if (path := as_file(name)) is not None:
        with from_file(path) as found:
            yield found
        return
    looked = [f"{name}: there is no such file"]
    if not name.startswith(_REGISTRY):
        runtime, why_not = _usable(find_runtime)
        if runtime and runtime.image_id(name) is not None:
            with scratch.folder("saved") as folder:
                yield from_runtime(runtime, name, folder, reporter)
            return
        looked.append(why_not or f"{runtime.title if runtime else ''} holds no such image")
    plain = name.removeprefix(_REGISTRY)
    if plain == name and not is_host(plain.partition("/")[0]):
        raise NoSuchImageError(name, tuple(looked))
    with scratch.folder("pulled") as folder:
        try:
            found = from_registry(Reference.parse(plain), folder, reporter, platform)
        except CogNixError as error:
            for line in looked if plain == name else ():
                error.add_note(f"  {line}")
            raise
        yield found


def as_file(name: str) -> Path | None:
    """Return the path of what is a file or folder, or is named as one."""
    for kind in KINDS:
        if name.startswith(f"{kind}:"):
            return Path(name.removeprefix(f"{kind}:"))
    try:
        return Path(name) if os.path.lexists(name) or name.startswith(("/", "./", "../")) else None
    except ValueError:
        return None


def _usable(find_runtime: Callable[[], Runtime]) -> tuple[Runtime | None, str]:
    """Return the runtime, or why there is none."""
    try:
        runtime = find_runtime()
    except CogNixError as error:
        return None, error.message
    reason = runtime.available()
    return (runtime, "") if reason is None else (None, reason)


@contextmanager
def from_file(path: Path) -> Iterator[Subject]:
    """Yield the image of a file: ``./result``, a Docker archive, an OCI layout, or that in a tar.

    Raises:
        ImageError: it is none.
    """
    if (built := _built(path)) is not None:
        yield subject.of_built(built, str(path))
        return
    if not path.exists():
        raise NoSuchImageError(str(path), (f"{path}: there is no such file",))
    with archive_program.opened(path) as archive:
        yield subject.of_archive(archive, str(path))


def _built(path: Path) -> ImageDescription | None:
    """Return an image that Nix built; None: it is something else."""
    real = path.resolve()
    try:
        described = ImageDescription.read(real)
    except ImageError:
        return None
    return described if store_of(real) and delta.is_described(described) else None


def from_runtime(runtime: Runtime, name: str, folder: Path, reporter: Reporter) -> Subject:
    """Return an image that a runtime holds: what it tells of it; the rest is read when it is asked for.

    Args:
        runtime: usable, and holds it.
        name: of the image.
        folder: where the image is saved to.
        reporter: told when it is.

    Raises:
        NotKeptError: the runtime does not say what it holds.
    """
    title = f"{with_tag(name)} in {runtime.title}"
    if not isinstance(runtime, ExaminedRuntime):
        raise NotKeptError(title)
    attributes = runtime.image_attributes(name)
    diff_ids = (attributes.get("RootFS") or {}).get("Layers") or []
    layers = tuple(Layer(str(one)) for one in diff_ids)
    config: dict[str, Any] = {"config": dict(attributes.get("Config") or {})}

    image_id = str(attributes.get("Id") or runtime.image_id(name))
    if isinstance(runtime, UnpackedRuntime):
        origins = runtime.layer_origins(name)
        layers = tuple(Layer(one.diff_id, name=made) for one, made in zip(layers, origins, strict=True))
        return Subject(title, image_id, config, layers, partial(runtime.open_layer, name), remade=True)

    def whole() -> Subject:
        assert isinstance(runtime, SavingRuntime)  # noqa: S101 - for the type checker
        path = folder / "image.tar"
        if not path.exists():
            reporter.info(f"Reading {title}")
            runtime.save(name, path)
        return _saved(path, title)

    saves = isinstance(runtime, SavingRuntime)
    return Subject(title, image_id, config, layers, None, whole=whole if saves else None)


def _saved(path: Path, title: str) -> Subject:
    """Return the image of an archive that stays where it is; it is opened for each layer."""
    with archive_program.opened(path) as archive:
        described = subject.of_archive(archive, title)

    @contextmanager
    def opened_layer(number: int) -> Iterator[Tar]:
        with archive_program.opened(path) as archive, subject.open_layer(archive, number) as tar:
            yield tar

    return Subject(title, described.id, described.config, described.layers, opened_layer)


def from_registry(
    reference: Reference, folder: Path, reporter: Reporter, platform: Platform | None = None
) -> Subject:
    """Return an image in a registry; its layers are fetched when they are read.

    Args:
        reference: which.
        folder: where layers are put.
        reporter: shows the bytes that come.
        platform: as above.

    Raises:
        RegistryError: there is none, or the registry refuses or cannot be reached.
    """
    from cog_nix.registry import credentials, pull  # noqa: PLC0415 - images that are here need no HTTP

    known = credentials.find(reference.registry)
    found = pull.find(reference, known, platform=platform)
    layers = tuple(Layer(diff_id, blob.size, digest=blob.filename) for diff_id, blob in found.layers)

    @contextmanager
    def fetched(number: int) -> Iterator[Tar]:
        files = pull.fetch_layers(found, known, [number], folder, reporter)
        with files[found.layers[number][0]].open("rb") as stream, decompressed(stream) as tar:
            yield tar

    title = str(reference)
    config = subject.parsed(found.text, title)
    return Subject(title, found.id, config, layers, fetched, (found.digest,), found.packing, compressed=True)
