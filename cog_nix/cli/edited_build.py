"""``cog-nix build`` when the model's source alone has changed, which is what it is asked for most often.

Nix runs already, with the question of the last build. Meanwhile the runtime is made ready, and the source is
read for what the user has to know. Flags, cog.yaml and the lock are as they were, so nothing that reads them
is imported. Whatever is out of the ordinary is left to the usual way, what Nix has made included.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cog_nix import signature
from cog_nix.build import unchanged
from cog_nix.build.result import link_result
from cog_nix.cli.outcome import Outcome, tell_built, tell_loaded, tell_start
from cog_nix.cli.session import Session
from cog_nix.image.description import ImageDescription, with_tag
from cog_nix.plugins import manager as plugins
from cog_nix.plugins.spec import PreparingRuntime
from cog_nix.programs.mentions import may_start
from cog_nix.project.large import is_large
from cog_nix.store import ahead, events
from cog_nix.system.processes import run
from cog_nix.system.regular import read_bytes
from cog_nix.system.status import status as status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cog_nix.build.again import Entry
    from cog_nix.plugins.spec import Runtime
    from cog_nix.report import Reporter
    from cog_nix.system.status import Status

AUTO = plugins.AUTO


@dataclass(frozen=True)
class Edit:
    """A project whose source has changed since its last build."""

    kept: Mapping[str, Any]
    """What is kept of that build."""
    name: str
    """Under which name."""
    runtime: str | None
    """Which runtime has to have the image; None: none."""
    linked: bool
    """Whether ``./result`` leads to it."""

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


def build(edit: Edit, began: float) -> Outcome | None:
    """Build the project and load it.

    Args:
        edit: what has changed.
        began: what :func:`time.monotonic` said when the command began.

    Returns:
        None where the usual way has to build it; nothing is lost then.

    Raises:
        CogNixError: the same; the usual way tells.
    """
    entry: Entry | None = edit.answer["entry"]
    if entry is None or edit.answer["oci"] or not _is_for_nix(edit):
        return None
    session = Session(plugins.load(), runtime_name=edit.runtime or AUTO)
    reporter, reference = session.reporter, with_tag(edit.answer["tag"])
    runtime = _prepared_runtime(session, reference) if edit.runtime else None
    described = signature.describe_model(Path(edit.kept["root"]), entry["predict"], entry["train"])
    if (described.leading.concurrency or 1) > 1:
        return None
    if _starts_new_programs(edit, entry["programs"]):
        return None
    changed = {
        "openapi": described.document(entry["version"]),
        "pitfalls": [*entry["pitfalls"], *(one for each in described.signatures for one in each.pitfalls)],
    }
    tell_start(reporter, {**edit.answer, **changed})
    image = _wait_for_nix(edit.answer, reporter)
    if image is None:
        return None
    if edit.linked:
        link_result(Path(edit.kept["root"]), image.path, reporter)
    answer = {**edit.answer, **changed, "image": str(image.path), "size": image.size}
    recorder = _Recorder(edit, answer, described.sources)
    recorder.start()
    held = session.load(runtime, image.path, reference) if runtime else lambda: None
    if runtime:
        tell_loaded(reporter, answer["tag"], image.size, began)
    else:
        where = "./result" if edit.linked else image.path
        tell_built(reporter, answer["tag"], image.size, began, where)
    recorder.join()
    loaded = runtime is not None
    return Outcome(recorder.kept_as, edit.kept["root"], held, loaded=loaded, linked=edit.linked)


def _starts_new_programs(edit: Edit, known: list[str] | None) -> bool:
    """Tell whether an edit may have brought a program that the lock was made without."""
    if known is None:
        return False
    root = Path(edit.kept["root"])
    changed = [path for path in edit.changed if path.endswith(".py") and _mentions(root / path)]
    if not changed:
        return False
    from cog_nix.programs.project import started_in_changed  # noqa: PLC0415 - Nix runs meanwhile

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


def _prepared_runtime(session: Session, reference: str) -> Runtime:
    """Find the runtime and let it prepare."""
    runtime = session.find_runtime()
    if isinstance(runtime, PreparingRuntime):
        runtime.expect(reference)
    return runtime


def _wait_for_nix(answer: Mapping[str, Any], reporter: Reporter) -> ImageDescription | None:
    """Return the image once Nix has built it."""
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
    return ImageDescription.read(Path(answer["image"]).parent / Path(path).name)


class _Recorder(threading.Thread):
    """Keeps what was built for the next build, while the runtime takes it."""

    def __init__(self, edit: Edit, answer: Mapping[str, Any], sources: frozenset[str]) -> None:
        super().__init__(daemon=True)
        self._edit, self._answer, self._sources = edit, answer, sources
        self.kept_as: str | None = None

    def run(self) -> None:
        """Write it, where all that the build went by can be watched."""
        began, links = ahead.began(), self._links()
        if began is None or links is None:
            return
        present = [self._answer["image"]]
        edit, sources = self._edit, self._sources
        kept = unchanged.renewed(
            edit.kept, began, files=edit.statuses, sources=sources, links=links, present=present
        )
        if kept:
            unchanged.remember(f"{kept['root']}/.cog", self._edit.name, kept, self._answer)
            self.kept_as = self._edit.name

    def _links(self) -> dict[str, str] | None:
        """Return the links that keep the image from being collected; None when one leads elsewhere."""
        previous, now = (Path(one["image"]).name for one in (self._edit.answer, self._answer))
        links = {}
        for link, target in self._edit.kept["links"]:
            try:
                links[link] = os.readlink(link)  # noqa: PTH115 - text
            except OSError:
                return None
            if Path(links[link]).name != (now if Path(target).name == previous else Path(target).name):
                return None
        return links
