"""What the user decides about one build, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cog_nix.errors import FlagError, LockError
from cog_nix.lock.upgrade import BUILDERS
from cog_nix.project import git
from cog_nix.resolve.ensure import Policy
from cog_nix.run_commands.ensure import RunOptions
from cog_nix.system.packing import USUAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cog_nix.config.model import Project
    from cog_nix.image.description import ImageDescription
    from cog_nix.image.known import Keys, Known
    from cog_nix.lock.model import Lock
    from cog_nix.system.packing import Packing

OWN_LABELS = "run.cog.nix."
"""What names of labels begin with that only cog-nix writes."""
OVERLAY = "cog-nix.nix"
"""Name of the file that changes the description of the image."""
_ZSTANDARD = "backports-zstd"


@dataclass(frozen=True)
class BuildOptions:
    """What the user decides about one build."""

    policy: Policy = field(default_factory=Policy)
    platform: str | None = None
    """What the image is for, as the user named it; None: as cog-nix.toml says."""
    tag: str | None = None
    """Name of the image; None: ``image`` of cog.yaml, or ``cog-<folder>``."""
    labels: Mapping[str, str] = field(default_factory=dict)
    openapi: Path | None = None
    """A document to use instead of reading the source."""
    result_link: bool = True
    offline: bool = False
    """Use no network; refuse what would need it."""
    runs: RunOptions = field(default_factory=RunOptions)
    weights_inside: bool = False
    """Whether the files of managed weights go into the image."""
    oci: bool = False
    """Whether to compress the layers as well, for registries and OCI layouts."""
    packing: Packing = USUAL
    """How, then."""
    held: Callable[[Keys], Known] | None = None
    """Says what the registry holds that the image goes to; such layers need not be made (with ``oci``, in
    gzip)."""
    embed_sbom: bool = False
    """Whether the image itself says what is in it (``/usr/local/share/sbom``)."""


@dataclass(frozen=True)
class Built:
    """An image in the store."""

    image: ImageDescription
    tag: str
    openapi: str
    gpu: bool
    """Whether the model wants one."""
    oci: Path | None = None
    """An OCI image layout of the same image, when one was asked for."""
    kept: str | None = None
    """Name of what is remembered of this build, for the next one (:mod:`cog_nix.build.again`)."""
    has_result_link: bool = False
    """Whether ``./result`` leads to it."""


def labels(project: Project, options: BuildOptions) -> dict[str, str]:
    """Return the labels that are known before the image is: Git's, and the user's annotations.

    Raises:
        ConfigError: an annotation would replace a label of cog-nix's own.
    """
    ours = sorted(name for name in options.labels if name.startswith(OWN_LABELS))
    if ours:
        raise FlagError(
            "--annotation",
            f"labels that begin with {OWN_LABELS} are cog-nix's own.",
            ours[0],
            hint="Choose another name.",
        )
    return {**git.labels(project.root), **options.labels}


class NoZstandardError(LockError):
    """The builders' Python of a lock cannot compress as is asked for."""

    def __init__(self, packing: Packing) -> None:
        super().__init__(hint=f"Lock a newer one, which is in no image:  cog-nix lock --upgrade {BUILDERS}")
        self.packing = packing

    def __str__(self) -> str:
        return f"Compression with {self.packing}: the builders' Python of this lock has no Zstandard."


def check_packing(lock: Lock, packing: Packing) -> None:
    """Refuse what the builders of a lock cannot do.

    Raises:
        NoZstandardError: it was made before they could.
    """
    if packing.startswith("zstd") and all(wheel.name != _ZSTANDARD for wheel in lock.seed.wheels):
        raise NoZstandardError(packing)


def blob_arguments(lock: Lock, options: BuildOptions) -> dict[str, Any]:
    """Return what ``nix/build.nix`` is told of blobs.

    Raises:
        NoZstandardError: the lock's builders cannot compress so.
    """
    if not options.oci:
        return {"oci": False}
    check_packing(lock, options.packing)
    return {"oci": True, "compression": options.packing}


def gc_root(project: Project, options: BuildOptions) -> Path | None:
    """Return the link that keeps what is built from being collected; None when none is wanted."""
    return project.state_dir / ("oci" if options.oci else "image") if options.result_link else None
