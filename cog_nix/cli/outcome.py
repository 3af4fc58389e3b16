"""What came of a build: what is said of it, and what is kept so that the next one is answered at once."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from cog_nix.build import unchanged
from cog_nix.cli.terminal import amount
from cog_nix.system.status import status as status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cog_nix.plugins.spec import Held
    from cog_nix.report import Reporter


class Outcome:
    """What a build did. No dataclass or named tuple: making one takes longer than the rest of this module.

    Args:
        build: the name of what is kept of it; None: nothing is.
        root: the project; in another folder nothing is kept.
        held: tells where the runtime holds it; None with ``loaded``: it does not say, so nothing is kept.
        loaded: whether a runtime was given the image.
        linked: whether ``./result`` leads to it.
    """

    def __init__(
        self, build: str | None, root: str, held: Callable[[], Held | None], *, loaded: bool, linked: bool
    ) -> None:
        self.build, self.root, self.held = build, root, held
        self.loaded, self.linked = loaded, linked

    def remember(self, name: str) -> None:
        """Keep what a command line did under its name."""
        if self.build and self.root == os.getcwd():  # noqa: PTH109 - text
            held = self.held()
            if self.loaded and held is None:
                return
            read = {path: status_of(path, follow=True) for path in held.read} if held else {}
            asked = {"id": held.id, "socket": held.socket, "path": held.path} if held else None
            present = held.present if held else ()
            if self.held() != held:  # what was read may be of another moment
                return
            found = {"build": self.build, "linked": self.linked, "held": asked, "read": read}
            unchanged.remember(f"{self.root}/.cog", name, {}, {**found, "present": present})


def tell_start(reporter: Reporter, answer: Mapping[str, Any]) -> None:
    """Say what is built, and what it was warned about (``answer`` is kept by :mod:`cog_nix.build.again`)."""
    for warning in (*answer["warnings"], *answer["pitfalls"]):
        reporter.warn(warning)
    reporter.step(f"Building {answer['tag']}")


def tell_loaded(reporter: Reporter, tag: str, size: int, began: float) -> None:
    """Say that a runtime has the image; its name ends the last line, as cog has it, for who reads that."""
    reporter.step(f"Built {amount(size)} in {time.monotonic() - began:.1f} s")
    reporter.info(f"Image built as {tag}")


def tell_built(reporter: Reporter, tag: str, size: int, began: float, where: object) -> None:
    """Say where the image is that no runtime was given."""
    reporter.info(f"Built {summary(tag, size, began)}: {where}")


def summary(tag: str, size: int, began: float) -> str:
    """Return an image's name, its size, and how long it took since ``began`` (:func:`time.monotonic`)."""
    return f"{tag} ({amount(size)}) in {time.monotonic() - began:.1f} s"
