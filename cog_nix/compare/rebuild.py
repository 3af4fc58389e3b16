"""Makes a project's image once more: by its lock, in a store of its own, which is removed afterwards."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.compare import subject
from cog_nix.compare.surroundings import MEMORY, Surroundings
from cog_nix.errors import ImageError, NoLockError
from cog_nix.image.description import ImageDescription
from cog_nix.image.layer_bytes import layers_outside
from cog_nix.project import git
from cog_nix.registry import layout
from cog_nix.system import scratch
from cog_nix.system.packing import USUAL
from cog_nix.system.processes import SHOWN_LINES, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.compare.subject import Subject
    from cog_nix.config.model import Project
    from cog_nix.report import Reporter
    from cog_nix.system.packing import Packing

_LEFT_OUT = frozenset({".git", ".cog", "result"})
"""What no image has, at the top of a project."""
_LINKED = 1 << 20
"""Bytes from which on a file is linked instead of copied, where it can be."""


class NotRebuiltError(ImageError):
    """An image cannot be made once more.

    Args:
        title: how it was to be made.
        said: the last that the build said.
    """

    def __init__(self, title: str, said: Sequence[str]) -> None:
        super().__init__(hint="Nothing was compared. `cog-nix build` says the same where the project is.")
        self.title, self.said = title, tuple(said)

    def __str__(self) -> str:
        return "\n".join([f"The image cannot be rebuilt ({self.title}):", *(f"  {one}" for one in self.said)])


@dataclass(frozen=True)
class Order:
    """What is rebuilt, however it is done."""

    project: Project
    arguments: tuple[str, ...] = ()
    """Further ones of ``cog-nix build``: secrets, a document."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Those that do not follow from lock and source."""
    archive: str = ""
    """Where what the lock names comes from, and results of commands; "": usual places, and they run."""
    blobs: bool = False
    """Whether to compress the layers as well, as registries have them."""
    packing: Packing = USUAL
    """How, then."""


@contextmanager
def rebuilt(order: Order, how: Surroundings, reporter: Reporter) -> Iterator[Subject]:
    """Yield the image, which is there for as long as it is compared.

    Args:
        order: what is made.
        how: it is made.
        reporter: hears what the build says.

    Raises:
        NoLockError: there is none.
        NotRebuiltError: the build fails.
        OSError: there is no room.
    """
    project = order.project
    if not project.lock_path.exists():
        raise NoLockError(project.lock_path.name)
    with scratch.folder("verify", mode=0o755) as work, _place(work, how) as place:
        copied = place / project.root.name
        copy(project.root, copied, backwards=how.shuffled)
        yield _build(order, how, copied, work, reporter)


@contextmanager
def _place(work: Path, how: Surroundings) -> Iterator[Path]:
    """Yield the folder that the project is copied to."""
    if not how.shuffled:
        yield work
        return
    with scratch.folder("verify", MEMORY, mode=0o755) as place:
        yield place


def _build(order: Order, how: Surroundings, copied: Path, work: Path, reporter: Reporter) -> Subject:
    project, store, blobs = order.project, work / "store", work / "blobs"
    home = work / "home"
    home.mkdir()
    # What a command leaves now shows in its layer, instead of ending the build.
    arguments = ["build", "--no-load", *(["--from", order.archive] if order.archive else ["--accept-runs"])]
    arguments += ["-f", str(project.config_path.relative_to(project.root))]
    arguments += ["--platform", project.platform.name]
    arguments += [one for name, value in order.labels.items() for one in ("--annotation", f"{name}={value}")]
    arguments += order.arguments
    if order.blobs:
        arguments += ["-o", f"oci:{blobs}", "--compression", order.packing]
    environment = how.environment(os.environ)
    roots = os.pathsep.join(os.path.abspath(one) for one in sys.path if one)  # noqa: PTH100 - for text
    for name in git.VARIABLES:  # labels are told one by one
        environment.pop(name, None)
    environment.update(PYTHONPATH=roots, COG_NIX_STORE=str(store), XDG_DATA_HOME=str(home))
    said: deque[str] = deque(maxlen=SHOWN_LINES)

    command = how.command([sys.executable, "-B", "-m", "cog_nix", *arguments])
    with reporter.steps_bar(f"Rebuilding ({how.title})", None) as bar:

        def hear(line: str) -> None:
            said.append(line)
            reporter.log(line)
            bar.describe(line)

        finished = run(command, env=environment, cwd=copied, check=False, on_stderr=hear)
    if finished.returncode:
        raise NotRebuiltError(how.title, said)
    image = ImageDescription.read(store / "nix/store" / (copied / "result").readlink().name)
    manifests = _manifests(order.packing, image, blobs) if order.blobs else ()
    return subject.of_built(image, f"rebuilt ({how.title})", manifests)


def _manifests(packing: Packing, image: ImageDescription, blobs: Path) -> tuple[str, ...]:
    """Return the digests of an image's manifest: as a layout has it, and as it is pushed."""
    found = layout.read(blobs, None, packing, layers_outside(image))
    (own,) = layout.pointers(blobs)
    return own, found.manifest.digest


def copy(source: Path, target: Path, *, backwards: bool = False) -> None:
    """Copy a project without what no image has; large files are linked where that is possible.

    Args:
        source: its folder.
        target: a folder to make.
        backwards: whether files are made in the reverse of their order by name.
    """
    target.mkdir()
    with os.scandir(source) as found:
        entries = sorted(found, key=lambda entry: entry.name, reverse=backwards)
    for entry in entries:
        if entry.name not in _LEFT_OUT:
            _copy(entry, target / entry.name, backwards=backwards)


def _copy(entry: os.DirEntry[str], target: Path, *, backwards: bool) -> None:
    if entry.is_symlink():
        target.symlink_to(Path(entry.path).readlink())
    elif entry.is_dir():
        target.mkdir()
        with os.scandir(entry) as found:
            below = sorted(found, key=lambda one: one.name, reverse=backwards)
        for one in below:
            _copy(one, target / one.name, backwards=backwards)
    elif stat.S_ISREG(entry.stat().st_mode):
        if entry.stat().st_size >= _LINKED and entry.stat().st_uid == os.geteuid():
            with suppress(OSError):  # another file system
                os.link(entry.path, target)
                return
        shutil.copy(entry.path, target)
