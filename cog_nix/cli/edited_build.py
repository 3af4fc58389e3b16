"""``cog-nix build`` when the model's source alone has changed (:mod:`cog_nix.cli.edited`).

While Nix works the runtime is made ready as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.build.result import link_result
from cog_nix.cli import edited
from cog_nix.cli.outcome import Outcome, tell_built, tell_loaded, tell_start
from cog_nix.cli.session import Session
from cog_nix.image.description import with_tag
from cog_nix.plugins import manager as plugins
from cog_nix.plugins.spec import PreparingRuntime

if TYPE_CHECKING:
    from cog_nix.plugins.spec import Runtime

AUTO = plugins.AUTO


def build(edit: edited.Edit, runtime_name: str | None, began: float, *, linked: bool) -> Outcome | None:
    """Build the project and load it.

    Args:
        edit: what has changed.
        runtime_name: which runtime has to have the image; None: none.
        began: what :func:`time.monotonic` said when the command began.
        linked: whether ``./result`` leads to it.

    Returns:
        None where the usual way has to build it; nothing is lost then.

    Raises:
        CogNixError: the same; the usual way tells.
    """
    session = Session(plugins.load(), runtime_name=runtime_name or AUTO)
    reporter, reference = session.reporter, with_tag(edit.answer["tag"])
    runtime = _prepared_runtime(session, reference) if runtime_name else None
    read = edited.read_source(edit)
    if read is None:
        return None
    tell_start(reporter, read.answer)
    made = edited.wait_for_nix(read.answer, reporter)
    if made is None:
        return None
    root, image, tag = edit.kept["root"], made.image, read.answer["tag"]
    if linked:
        link_result(Path(root), image.path, reporter)
    recorder = edited.Recorder(edit, read, made)
    recorder.start()
    held = session.load(runtime, image.path, reference) if runtime else lambda: None
    if runtime:
        tell_loaded(reporter, tag, image.size, began)
    else:
        where = "./result" if linked else image.path
        tell_built(reporter, tag, image.size, began, where)
    recorder.join()
    loaded = runtime is not None
    return Outcome(recorder.kept_as, root, held, loaded=loaded, linked=linked)


def _prepared_runtime(session: Session, reference: str) -> Runtime:
    """Find the runtime and let it prepare."""
    runtime = session.find_runtime()
    if isinstance(runtime, PreparingRuntime):
        runtime.expect(reference)
    return runtime
