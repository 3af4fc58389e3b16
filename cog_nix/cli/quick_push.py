"""``cog-nix push`` when nothing has changed, or the source alone, without the command line.

As :mod:`cog_nix.cli.fast_path`: whatever is out of the ordinary goes the usual way, before anything is said.
What speaks to the registry is what the usual way has; it is imported, and the registry greeted, while Nix
works.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix.build import unchanged
from cog_nix.cli import pushing
from cog_nix.cli.outcome import tell_start
from cog_nix.cli.terminal import TerminalReporter
from cog_nix.errors import CogNixError
from cog_nix.registry.destination import Destination
from cog_nix.registry.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.build.options import Built
    from cog_nix.cli.edited import Edit, Read
    from cog_nix.config.model import Project
    from cog_nix.registry.delivery import Delivery
    from cog_nix.system.keys import PublicKeys


def remember(name: str, project: Project, built: Built, destination: Destination, *, as_json: bool) -> None:
    """Keep where a command line pushed to.

    Args:
        name: of the command line (:func:`cog_nix.cli.fast_path.answer`).
        project: whose image it is; in another folder nothing is kept.
        built: what was built, and is kept.
        destination: where it was pushed to.
        as_json: whether stdout got the result.
    """
    root = str(project.root)
    if root != os.getcwd():  # noqa: PTH109 - text
        return
    to = destination.reference
    push = {
        "target": destination.target,
        "reference": [to.registry, to.repository, to.tag],
        "config": str(project.config_path),
        "json": as_json,
    }
    unchanged.remember(
        f"{root}/.cog", name, {}, {"build": built.kept, "linked": built.has_result_link, **push}
    )


def push(kept: Mapping[str, Any], command: Mapping[str, Any], *, edited: bool) -> int | None:
    """Push the image of a build.

    Args:
        kept: what is kept of the build.
        command: what :func:`remember` kept.
        edited: whether its source has changed since, and Nix was started.

    Returns:
        The exit status; None where the usual way has to push it, and nothing was said.

    Raises:
        CogNixError: the same; the usual way tells.
    """
    edit = read = None
    if edited:
        from cog_nix.cli.edited import Edit, read_source

        edit = Edit(kept, command["build"])
        read = read_source(edit)
        if read is None:
            return None
    reporter = TerminalReporter()
    reporter.progress("plain" if os.environ.get("TERM") == "dumb" else "auto")
    destination = Destination(command["target"], Reference(*command["reference"]))
    before = Path(kept["answer"]["oci"])
    with pushing.delivery_of(before, destination) as delivery:
        delivery.open()
        push = _Push(Path(kept["root"]), command, destination, delivery, reporter)
        return push.edited(edit, read) if edit and read else push.run(kept["answer"], before)


@dataclass(frozen=True)
class _Push:
    """A push to a repository that has answered."""

    root: Path
    command: Mapping[str, Any]
    destination: Destination
    delivery: Delivery
    reporter: TerminalReporter

    def edited(self, edit: Edit, read: Read) -> int | None:
        """Push what Nix makes."""
        from cog_nix.build.result import link_result
        from cog_nix.cli.edited import Recorder, wait_for_nix

        made = wait_for_nix(read.answer, self.reporter)
        if made is None or made.oci is None:
            return None
        if self.command["linked"]:
            link_result(self.root, made.image.path, self.reporter)
        recorder = Recorder(edit, read, made)
        recorder.start()
        status = self.run(read.answer, made.oci)
        recorder.join()
        return status

    def run(self, answer: Mapping[str, Any], oci: Path) -> int:
        """Push a layout; tell of it, and of what fails now."""
        pushing.announce(self.destination.target, self.reporter)
        tell_start(self.reporter, answer)
        try:
            pushed = pushing.push_built(oci, self.destination, (), self.reporter, delivery=self.delivery)
            pushing.Record(self.root / ".cog", self.destination, self.reporter, self._trusted).add(
                oci, pushed
            )
        except (CogNixError, OSError) as error:
            return _failed(error, self.reporter)
        pushing.tell(pushed, self.destination, self.reporter, with_tree=not self.command["json"])
        if self.command["json"]:
            sys.stdout.write(f"{json.dumps(pushing.document(pushed), separators=(',', ':'))}\n")
        return 0

    def _trusted(self) -> PublicKeys:
        from cog_nix.config.model import Project

        return pushing.trusted_keys(Project(self.root, Path(self.command["config"])))


def _failed(error: Exception, reporter: TerminalReporter) -> int:
    """Tell what is the user's to mend, as the usual way does; return the exit status."""
    from cog_nix.cli.app import explained

    status = explained(error, "cog-nix", reporter)
    if status is None:
        raise error
    return status
