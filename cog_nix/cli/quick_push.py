"""``cog-nix push`` when nothing has changed, or the source alone, without the command line.

As :mod:`cog_nix.cli.fast_path`: whatever is out of the ordinary goes the usual way, before anything is said.
What speaks to the registry is what the usual way has; it is imported, and credentials are found, while Nix
works.
"""

from __future__ import annotations

import json
import os
import sys
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
    from cog_nix.config.model import Project
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
    reporter = TerminalReporter()
    reporter.progress("plain" if os.environ.get("TERM") == "dumb" else "auto")
    destination = Destination(command["target"], Reference(*command["reference"]))
    answer, oci, recorder = kept["answer"], kept["answer"]["oci"], None
    if edited:
        from cog_nix.cli.edited import Edit, Recorder, read_source, wait_for_nix  # noqa: PLC0415 - as said

        edit = Edit(kept, command["build"])
        read = read_source(edit)
        if read is None:
            return None
        pushing.warm_up()
        made = wait_for_nix(read.answer, reporter)
        if made is None or made.oci is None:
            return None
        if command["linked"]:
            from cog_nix.build.result import link_result  # noqa: PLC0415 - as above

            link_result(Path(kept["root"]), made.image.path, reporter)
        answer, oci = read.answer, made.oci
        recorder = Recorder(edit, read, made)
        recorder.start()
    pushing.announce(destination.target, reporter)
    tell_start(reporter, answer)
    try:
        _send(Path(oci), destination, command, Path(kept["root"]), reporter)
    except (CogNixError, OSError) as error:
        status = _failed(error, reporter)
    else:
        status = 0
    if recorder:
        recorder.join()
    return status


def _send(
    oci: Path, destination: Destination, command: Mapping[str, Any], root: Path, reporter: TerminalReporter
) -> None:
    """Push a layout; tell of it."""

    def trusted() -> PublicKeys:
        from cog_nix.config.model import Project  # noqa: PLC0415 - few pushes ask

        return pushing.trusted_keys(Project(root, Path(command["config"])))

    pushed = pushing.push_built(oci, destination, (), reporter)
    pushing.Record(root / ".cog", destination, reporter, trusted).add(oci, pushed)
    pushing.tell(pushed, destination, reporter, with_tree=not command["json"])
    if command["json"]:
        sys.stdout.write(f"{json.dumps(pushing.document(pushed), separators=(',', ':'))}\n")


def _failed(error: Exception, reporter: TerminalReporter) -> int:
    """Tell what is the user's to mend, as the usual way does; return the exit status."""
    from cog_nix.cli.app import explained  # noqa: PLC0415 - only here

    status = explained(error, "cog-nix", reporter)
    if status is None:
        raise error
    return status
