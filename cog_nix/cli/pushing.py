"""Bringing a built image to a registry, and telling of it: what every ``cog-nix push`` does.

Nothing of the command line is imported here, and what speaks HTTP only where it is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cog_nix.cli.terminal import amount
from cog_nix.errors import CogNixError, RegistryError
from cog_nix.registry.destination import REPLICATE
from cog_nix.registry.failures import NOT_FOUND, MissingBlobsError
from cog_nix.system.packing import USUAL
from cog_nix.system.paths import cache_dir
from cog_nix.system.platforms import AMD64
from cog_nix.system.state import recall, remember

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from cog_nix.config.model import Project
    from cog_nix.image.known import Keys, Known
    from cog_nix.registry.delivery import Delivery
    from cog_nix.registry.destination import Destination
    from cog_nix.registry.held import HeldLayers
    from cog_nix.registry.push import Pushed
    from cog_nix.report import Reporter
    from cog_nix.system.keys import PublicKeys, SecretKey
    from cog_nix.system.packing import Packing
    from cog_nix.system.platforms import Platform
    from cog_nix.weights.model import LockedWeight

_BLOB = "blob-"
"""What ``nix/layers/blob.nix`` calls them."""
_OF_AN_EDIT = 2
"""Blobs that are new after an edit: the project's layer and the configuration."""
_WHO_ARE_YOU = (401, 403)
_NO_MODEL = """\
Unable to find existing Replicate model for {target}. \
Go to replicate.com and create a new model before pushing.

If the model already exists, you may be getting this error because you're not logged in as owner of \
the model. This can happen if you did 'sudo cog login' instead of 'cog login' or 'sudo cog push' instead \
of 'cog push', which causes Docker to use the wrong Docker credentials."""


def trusted_keys(project: Project) -> PublicKeys:
    """Return the keys whose word counts for a project."""
    from cog_nix.config import load_settings
    from cog_nix.store import caches
    from cog_nix.system.keys import PublicKeys

    counted, _ = caches.effective(load_settings(project).nix, os.environ)
    return PublicKeys(counted.trusted_public_keys)


def announce(target: str, reporter: Reporter) -> None:
    """Say what is going to be done."""
    reporter.info(f"Building Docker image from environment in cog.yaml as {target}...\n")


@dataclass(frozen=True)
class Record:
    """What the repository holds, as it was told of it (:mod:`cog_nix.registry.held`)."""

    state: Path
    """The folder where the project's state is; that it was told is noted there."""
    destination: Destination
    reporter: Reporter
    trusted: Callable[[], PublicKeys]
    """Returns the keys whose word counts."""
    secret: SecretKey | None = None
    packing: Packing = USUAL

    @property
    def is_kept(self) -> bool:
        """Whether there is one: Replicate's registry takes every tag for a version of the model.

        Of layers that are compressed otherwise than usual nothing is kept: it does not say how they are.
        """
        return self.destination.image.registry != REPLICATE and self.packing == USUAL

    def known(self, keys: Keys) -> Known:
        """Return what is known of an image's layers."""
        return self._held().known(keys)

    def add(self, oci: Path, pushed: Pushed) -> None:
        """Record what was pushed, unless that was done before and no layer but the project's is new.

        Args:
            oci: the image's layout.
            pushed: what became of it.
        """
        if not self.is_kept:
            return
        from cog_nix.registry import layout

        mark = self.state / "held"
        known = layout.known(oci)
        signer = self.secret.name if self.secret else ""
        said = json.dumps([self.destination.image.name, signer, known.document()])
        digest = hashlib.sha256(said.encode()).hexdigest()
        if recall(mark) == digest and pushed.total("uploaded")[0] <= _OF_AN_EDIT:
            return
        self._held().add(known)
        remember(mark, digest)

    def _held(self) -> HeldLayers:
        from cog_nix.registry import credentials
        from cog_nix.registry.held import HeldLayers

        return HeldLayers(
            self.destination.image,
            credentials.of_registry(self.destination.image.registry),
            cache_dir(),
            self.reporter,
            self.trusted(),
            self.secret,
        )


def warm_up() -> None:
    """Import what pushing needs, a tenth of a second's worth, while Nix has the other processor."""
    from cog_nix.registry import layout, push  # noqa: F401 - for their being there
    from cog_nix.registry.client import new_client

    with suppress(CogNixError):  # told where a client is needed
        new_client().close()


def delivery_of(oci: Path, destination: Destination) -> Delivery:
    """Return what brings blobs to a registry, which can be spoken to before the image is there.

    Args:
        oci: the layout of an earlier one, which has most of its blobs.
        destination: where to.
    """
    from cog_nix.registry import credentials, layout
    from cog_nix.registry.push import begin

    known = credentials.of_registry(destination.image.registry)
    delivery = begin(destination, known, cache=cache_dir())
    delivery.expect(blob.digest for blob in layout.read(oci).blobs)
    return delivery


class Ahead(ExitStack):
    """Brings blobs of an image to its registry while Nix makes the rest. Use it as a context manager.

    Args:
        destination: where to.
        weights: that the registry has to have already.
    """

    def __init__(self, destination: Destination, weights: Sequence[LockedWeight]) -> None:
        super().__init__()
        self._destination, self._weights = destination, weights
        self.delivery: Delivery | None = None
        """What has begun; None: nothing has."""

    def made(self, name: str, output: Callable[[], Path | None]) -> None:
        """Hear of what Nix has made.

        Args:
            name: of its derivation.
            output: finds it.

        Raises:
            RegistryError: the registry refused what came before, or cannot be reached.
        """
        if not name.startswith(_BLOB) or (path := output()) is None:
            return
        from cog_nix.registry import credentials, layout
        from cog_nix.registry.push import begin

        if (blob := layout.made(path)) is None:
            return
        with explained(self._destination):
            if self.delivery is None:
                known = credentials.of_registry(self._destination.image.registry)
                delivery = begin(self._destination, known, cache=cache_dir(), weights=self._weights)
                self.delivery = self.enter_context(delivery)
            self.delivery.take(blob)


def push_built(
    oci: Path,
    destination: Destination,
    weights: Sequence[LockedWeight],
    reporter: Reporter,
    packing: Packing = USUAL,
    *,
    platform: Platform = AMD64,
    alone: bool = True,
    delivery: Delivery | None = None,
) -> Pushed:
    """Push an image that was built with its blobs.

    Args:
        oci: the image's layout.
        destination: where to.
        weights: that the registry has to have already.
        reporter: tells what goes on.
        packing: how its layers are compressed.
        platform: what the image is for.
        alone: whether it gets the name; otherwise an index will.
        delivery: what brings its blobs there, where that has begun.

    Raises:
        RegistryError: the registry refuses, or cannot be reached; in upstream's words for Replicate's.
    """
    # Imported while Nix was at work, see warm_up.
    from cog_nix.registry import credentials, layout
    from cog_nix.registry.push import begin
    from cog_nix.registry.push import push as push_layout

    if weights:
        reporter.info(f"\n{len(weights)} managed weight(s)")
    reporter.info(f"\nPushing to {destination.target}...")
    with explained(destination), ExitStack() as stack:
        if delivery is None:
            known = credentials.of_registry(destination.image.registry)
            delivery = stack.enter_context(begin(destination, known, cache=cache_dir(), weights=weights))
        return push_layout(
            layout.read(oci, reporter, packing, ready=delivery.take),
            destination,
            delivery,
            cache=cache_dir(),
            reporter=reporter,
            platform=platform,
            alone=alone,
        )


@contextmanager
def explained(destination: Destination) -> Iterator[None]:
    """Tell of what a registry refuses in upstream's words.

    Raises:
        RegistryError: instead of what it is told of.
    """
    registry = destination.image.registry
    try:
        yield
    except MissingBlobsError:
        raise
    except RegistryError as error:
        if registry == REPLICATE and error.status == NOT_FOUND:
            raise RegistryError(_NO_MODEL.format(target=destination.target), status=NOT_FOUND) from error
        refused = "authorization failed: " if error.status in _WHO_ARE_YOU else ""
        message = f"failed to push image: {refused}{error.message}"
        raise RegistryError(message, hint=error.hint, status=error.status) from error


def document(pushed: Pushed) -> dict[str, object]:
    """Return upstream's JSON result, version 1."""
    weights = [{"name": name, "reference": reference} for name, reference in pushed.weights.items()]
    return {
        "version": 1,
        **({"model": pushed.model} if pushed.model else {}),
        "image": pushed.image,
        **({"weights": weights} if weights else {}),
    }


def tree(pushed: Pushed) -> str:
    """Return the references of what was pushed, in upstream's columns."""
    if not pushed.model:
        return f"  image  {pushed.image}"
    width = max(map(len, pushed.weights), default=0)
    children = [f"image   {pushed.image}"]
    children += [f"weight  {name:<{width}}  {reference}" for name, reference in pushed.weights.items()]
    branches = ["├─"] * (len(children) - 1) + ["└─"]
    lines = [f"  {branch} {child}" for branch, child in zip(branches, children, strict=True)]
    return "\n".join([f"  model   {pushed.model}", *lines])


def tell(pushed: Pushed, destination: Destination, reporter: Reporter, *, with_tree: bool) -> None:
    """Say what was done.

    Args:
        pushed: what became of it.
        destination: where to.
        reporter: is told.
        with_tree: whether to name what was pushed.
    """
    reporter.info(summary(pushed))
    if with_tree:  # with --json, stdout has the references
        reporter.info(f"\n{tree(pushed)}")
    if destination.image.registry == REPLICATE:
        from cog_nix.registry.replicate import model_page

        reporter.info(f"\nRun your model on Replicate:\n    {model_page(destination.image.name)}")


def summary(pushed: Pushed) -> str:
    """Return what was uploaded and what was not, in a line."""
    blobs, size = pushed.total("uploaded")
    told = [f"Uploaded {blobs} of {len(pushed.blobs)} blobs ({amount(size)})"]
    for outcome, words in (
        ("there", "skipped {} that were there"),
        ("mounted", "mounted {} from other repositories"),
    ):
        blobs, size = pushed.total(outcome)  # type: ignore[arg-type]
        if blobs:
            told.append(f"{words.format(blobs)} ({amount(size)})")
    return ", ".join(told)
