"""A build when the model's source alone has changed, which is what is asked for most often.

Nix runs already, with the question of the last build. Meanwhile the source is read for what the user has to
know. Flags, cog.yaml and the lock are as they were, so nothing that reads them is imported. Whatever is out
of the ordinary is left to the usual way, what Nix has made included.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cog_nix import signature
from cog_nix.build import unchanged
from cog_nix.image.description import ImageDescription
from cog_nix.programs.mentions import may_start
from cog_nix.project.large import is_large
from cog_nix.store import ahead, events
from cog_nix.system.processes import run
from cog_nix.system.regular import read_bytes
from cog_nix.system.status import status as status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.build.again import Entry
    from cog_nix.report import Reporter
    from cog_nix.system.status import Status


@dataclass(frozen=True)
class Edit:
    """A project whose source has changed since its last build."""

    kept: Mapping[str, Any]
    """What is kept of that build."""
    name: str
    """Under which name."""

    @cached_property
    def statuses(self) -> dict[str, Status | None]:
        """What the files that it went by are now: looked at once, after Nix was started."""
        root = self.kept["root"]
        return {path: status_of(f"{root}/{path}") for path in self.kept["files"]}

    @cached_property
    def changed(self) -> list[str]:
        """Those that are something else."""
        return [path for path, before in self.kept["files"].items() if self.statuses[path] != before]

    @property
    def answer(self) -> Mapping[str, Any]:
        """What came of that build."""
        found: Mapping[str, Any] = self.kept["answer"]
        return found


class Read(NamedTuple):
    """What the source says now."""

    answer: Mapping[str, Any]
    """What comes of the build, as far as it is known without Nix."""
    sources: frozenset[str]
    """What it was read from."""


def read_source(edit: Edit) -> Read | None:
    """Read the source while Nix works.

    Returns:
        None where the usual way has to build it.

    Raises:
        CogNixError: the same; the usual way tells.
    """
    entry: Entry | None = edit.answer["entry"]
    if entry is None or not _is_for_nix(edit):
        return None
    described = signature.describe_model(Path(edit.kept["root"]), entry["predict"], entry["train"])
    if (described.leading.concurrency or 1) > 1 or _starts_new_programs(edit, entry["programs"]):
        return None
    changed = {
        "openapi": described.document(entry["version"]),
        "pitfalls": [*entry["pitfalls"], *(one for each in described.signatures for one in each.pitfalls)],
    }
    return Read({**edit.answer, **changed}, described.sources)


def _starts_new_programs(edit: Edit, known: list[str] | None) -> bool:
    """Tell whether an edit may have brought a program that the lock was made without."""
    if known is None:
        return False
    root = Path(edit.kept["root"])
    changed = [path for path in edit.changed if path.endswith(".py") and _mentions(root / path)]
    if not changed:
        return False
    from cog_nix.programs.project import started_in_changed

    return not started_in_changed(root, changed, edit.kept["files"]) <= set(known)


def _mentions(path: Path) -> bool:
    """Tell whether a source may start programs; one that cannot be read is for the usual way to tell of."""
    try:
        return may_start(read_bytes(path))
    except OSError:
        return False


def _is_for_nix(edit: Edit) -> bool:
    """Tell whether Nix sees all that has changed: no file that stays out of the store, now or before."""
    seen = edit.answer["spec"]["included"]
    now = {path: edit.statuses[path] for path in edit.changed}
    return all(one and path in seen and not is_large(*one[2:4]) for path, one in now.items())


class Made(NamedTuple):
    """What Nix has made."""

    image: ImageDescription
    oci: Path | None
    """The image's layout, where that was asked for."""


def wait_for_nix(answer: Mapping[str, Any], reporter: Reporter) -> Made | None:
    """Return the image once Nix has built it; None where it has not."""
    command = answer["command"]
    taken = ahead.claim(command, answer["spec"])
    if taken is None:
        return None
    process, values = taken
    with values, events.watch(reporter) as log:
        finished = run(command, check=False, on_stderr=log.feed, started=process)
    if finished.returncode:
        return None
    output = finished.stdout.split()[-1]
    path = os.path.realpath(output) if "--out-link" in command else output
    store = Path(answer["image"]).parent
    made = store / Path(path).name
    if not answer["oci"]:
        return Made(ImageDescription.read(made), None)
    return Made(ImageDescription.read(store / (made / "image").readlink().name), made)


class Recorder(threading.Thread):
    """Keeps what was built for the next build, while it is taken to where it belongs.

    Args:
        edit: what had changed.
        read: what was read of it.
        made: what Nix made of it.
    """

    def __init__(self, edit: Edit, read: Read, made: Made) -> None:
        super().__init__(daemon=True)
        image, oci = made.image, str(made.oci) if made.oci else None
        self._answer = {**read.answer, "image": str(image.path), "oci": oci, "size": image.size}
        self._edit, self._sources = edit, read.sources
        self.kept_as: str | None = None

    def run(self) -> None:
        """Write it, where all that the build went by can be watched."""
        began, links = ahead.began(), self._links()
        if began is None or links is None:
            return
        present = [path for path in (self._answer["image"], self._answer["oci"]) if path]
        edit, sources = self._edit, self._sources
        kept = unchanged.renewed(
            edit.kept, began, files=edit.statuses, sources=sources, links=links, present=present
        )
        if kept:
            unchanged.remember(f"{kept['root']}/.cog", self._edit.name, kept, self._answer)
            self.kept_as = self._edit.name

    def _links(self) -> dict[str, str] | None:
        """Return the links that keep the image from being collected; None when one leads elsewhere."""
        both = (self._edit.answer, self._answer)
        previous, now = (Path(one["oci"] or one["image"]).name for one in both)
        links = {}
        for link, target in self._edit.kept["links"]:
            try:
                links[link] = os.readlink(link)  # noqa: PTH115 - text
            except OSError:
                return None
            if Path(links[link]).name != (now if Path(target).name == previous else Path(target).name):
                return None
        return links
