"""`serve --watch`: what is done about each change of the project, and what is said about it."""

from __future__ import annotations

import os
import select
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cog_nix.cli.building import build_and_load, document_of_environment
from cog_nix.cli.platforms import project_here
from cog_nix.errors import CogNixError
from cog_nix.system.state import remember
from cog_nix.watch import inside
from cog_nix.watch.files import Watched
from cog_nix.watch.interface import differences, read_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.cli.building import LoadedImage
    from cog_nix.cli.session import Session
    from cog_nix.plugins.spec import InteractiveContainer, Runtime
    from cog_nix.watch.files import Changes

_LOOK_SECONDS = 0.5


def watched(server: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command that starts a server, and starts it again when the source has changed.

    Args:
        server: arguments of Python.
    """
    return ("python", "-c", Path(inside.__file__).read_text(encoding="utf-8"), *server)


@dataclass(frozen=True)
class Plan:
    """How a project is built anew while it is served."""

    config_file: str
    """Name of its configuration."""
    cog_base: bool | None
    """Whether the packages of Cog's base image come; None: not said."""
    swaps: bool
    """Whether a change of requirements is built unasked."""
    platform: str | None = None
    """What ``--platform`` says; None: nothing."""


class Watching:
    """Looks after a model that is served while it is edited, until its context is left.

    Args:
        session: its reporter tells.
        runtime: what loads an image that is built anew.
        image: what is served at first.
        plan: what the user decided.
        notice: takes what is wrong with the source, beside the reporter; empty: nothing is.
    """

    def __init__(
        self,
        session: Session,
        runtime: Runtime,
        image: LoadedImage,
        plan: Plan,
        notice: Callable[[str], None],
    ) -> None:
        self._notice = notice
        self._session, self._runtime, self._plan = session, runtime, plan
        self._project = project_here(plan.config_file, plan.platform)
        self._watched = Watched(self._project)
        self._document = image.openapi
        self._container: InteractiveContainer | None = None
        self._next: LoadedImage | None = None
        self._stop = threading.Event()
        self._working = threading.Lock()

    def __enter__(self) -> Self:
        self._start(self._follow)
        if not self._plan.swaps and sys.stdin.isatty():
            self._start(self._wait_for_enter)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()

    def _start(self, work: Callable[[], None]) -> None:
        threading.Thread(target=work, daemon=True, name="watching").start()

    def serves(self, container: InteractiveContainer | None) -> None:
        """Take the container whose server is told of changes; None: there is none at the moment."""
        self._container = container

    def take_next(self) -> LoadedImage | None:
        """Return the image that is to be served now; None: it was not to be swapped."""
        following, self._next = self._next, None
        return following

    def _follow(self) -> None:
        for changes in self._watched.changes(self._stop, self._session.reporter):
            with self._working:
                try:
                    self._act(changes)
                except CogNixError as error:
                    self._tell(error, "The model goes on as it was; the next good edit restarts it.")

    def _act(self, changes: Changes) -> None:
        if changes.requirements:
            self._tell_outdated(changes.requirements)
        if changes.requirements and self._plan.swaps and self._watched.outdated:
            self._swap()  # with what has changed of the source besides
        elif changes.source:
            self._restart(changes.source)

    def _restart(self, paths: tuple[str, ...]) -> None:
        document = read_document(self._project, document_of_environment())
        self._session.reporter.info(f"{', '.join(paths)} changed")
        for line in differences(self._document, document):
            self._session.reporter.info(f"  {line}")
        if document != self._document:
            remember(self._project.shared_state_dir / "openapi_schema.json", document)
            self._document = document
        self._notice("")
        if self._container:
            self._container.signal("SIGHUP")

    def _tell_outdated(self, paths: tuple[str, ...]) -> None:
        if not self._watched.outdated:
            self._session.reporter.info(f"{', '.join(paths)}: as it was when the image was built")
        elif self._plan.swaps:
            self._session.reporter.info(f"{', '.join(paths)} changed")
        else:
            press = "press Enter to" if sys.stdin.isatty() else "with --update-lock it would"
            self._session.reporter.info(
                f"{', '.join(paths)} changed; the model runs in the image from before: {press} lock, build "
                "and swap the container"
            )

    def _swap(self) -> None:
        """Build the project as it is now, and let its image take over; what runs goes on until then."""
        following = build_and_load(
            self._session,
            self._plan.config_file,
            self._runtime,
            cog_base=self._plan.cog_base,
            update=True,
            platform=self._plan.platform,
        )
        self._watched.built()
        for line in differences(self._document, following.openapi):
            self._session.reporter.info(f"  {line}")
        self._document, self._next = following.openapi, following
        self._notice("")
        self._session.reporter.info("Swapping the container")
        if self._container:
            self._container.signal("SIGTERM")

    def _wait_for_enter(self) -> None:
        """Swap the container when Enter is pressed and there is something to swap."""
        descriptor = sys.stdin.fileno()
        while not self._stop.is_set():
            if descriptor not in select.select([descriptor], [], [], _LOOK_SECONDS)[0]:
                continue
            if not os.read(descriptor, 1 << 10):
                return
            with self._working:
                try:
                    if self._watched.outdated:
                        self._swap()
                except CogNixError as error:
                    self._tell(error, "The model goes on as it was.")

    def _tell(self, error: CogNixError, consequence: str) -> None:
        self._session.reporter.error(error.message, hint=error.hint, kind=type(error).__name__)
        self._session.reporter.info(consequence)
        self._notice(f"{error.message}\n{consequence}")
