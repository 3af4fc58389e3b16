"""What building works with: plugins, narration, downloads, Nix."""

from __future__ import annotations

import functools
import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cog_nix.build.configuration import asked_in, python_asked_in
from cog_nix.errors import CogNixError, LockError, NixError
from cog_nix.plugins import bring as programs
from cog_nix.store import caches
from cog_nix.store import nix as nix_store
from cog_nix.store.caches import Caches
from cog_nix.system.paths import cache_dir
from cog_nix.system.platforms import AMD64
from cog_nix.weights.store import default_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from cog_nix.archive.model import Archive
    from cog_nix.config import Loaded
    from cog_nix.config.model import Project, Settings
    from cog_nix.fetch.origins import Alternative
    from cog_nix.lock.model import Artifact, Lock
    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import Context
    from cog_nix.report import Reporter
    from cog_nix.resolve.request import Request, Tools
    from cog_nix.store.nix import Made


@dataclass(frozen=True)
class Services:
    """What building works with."""

    plugins: Plugins
    reporter: Reporter
    cache: Path = field(default_factory=cache_dir)
    whole: bool = False
    """Whether what is looked into will be built from as well, so that parts of it would come twice."""
    while_building: Callable[[], object] | None = None
    """Called on a thread of its own while Nix works: prepares what comes afterwards, and fails there."""
    made: Made | None = None
    """Hears of what Nix has made of the image while it makes the rest (:meth:`.nix.Nix.build`)."""
    archive: Archive | None = None
    """What is asked for files before anything else is."""
    trusts_archive: bool = False
    """Whether programs that it has may run, though nothing is known of them."""

    def prepare(self) -> None:
        """Begin what is done while Nix works."""
        if self.while_building:
            threading.Thread(target=self.while_building, daemon=True).start()

    def context(
        self, settings: Settings, project: Project | None = None, requirements: Sequence[str] = ()
    ) -> Context:
        """Return what hooks are given.

        Args:
            settings: cog-nix.toml.
            project: whose files may be among what is fetched.
            requirements: its requirement lines, which may carry credentials.
        """
        from cog_nix.fetch.caching import CachingFetcher  # a build with nothing to fetch goes without
        from cog_nix.plugins.spec import Context

        def elsewhere(files: Sequence[Artifact]) -> Mapping[str, Sequence[Alternative]]:
            return self._elsewhere(files, project, requirements, context)

        fetcher = CachingFetcher(
            self.cache,
            self.reporter,
            credentials=functools.partial(self.plugins.download_credentials, requirements),
            root=project.root if project else None,
            whole=self.whole,
            suppliers=(self.archive,) if self.archive else (),
            elsewhere=elsewhere,
        )
        context = Context(
            settings=settings,
            fetcher=fetcher,
            reporter=self.reporter,
            cache_dir=self.cache,
            platform=project.platform if project else AMD64,
        )
        return context

    def _elsewhere(
        self,
        files: Sequence[Artifact],
        project: Project | None,
        requirements: Sequence[str],
        context: Context,
    ) -> Mapping[str, Sequence[Alternative]]:
        """Name other places for files: what plugins know of, then archives that are asked by URL."""
        from cog_nix.archive import place
        from cog_nix.lock import format as lock_format

        lock = None
        with suppress(LockError):  # told by whoever needs one
            lock = lock_format.read(project.lock_path, project.platform) if project else None
        answers = self.plugins.origins_of(files, lock, requirements, context)
        last = place.alternatives(files, context.settings.origins, os.environ)
        return {
            file.sha256: [place for answer in (*answers, last) for place in answer.get(file.sha256, ())]
            for file in files
        }

    def nix(
        self, project: Project, settings: Settings, *, offline: bool = False, beside: Sequence[Path] = ()
    ) -> nix_store.Nix:
        """Find Nix, here or in a container, or bring it.

        Args:
            project: what is built.
            settings: cog-nix.toml, which may say where the Debian archive is.
            offline: whether nothing may be fetched.
            beside: what it reads and writes besides, where it runs in a container.

        Raises:
            NixError: there is none that can build, and none can be brought.
        """
        from cog_nix.container import choose  # commands that need no Nix go without

        bring = functools.partial(
            programs.bring,
            "nix",
            self.reporter,
            self.plugins,
            settings,
            offline=offline,
            suppliers=(self.archive,) if self.archive else (),
            record=self.archive.header.programs.get("nix", "") if self.archive else "",
            trusted=self.trusts_archive,
        )
        context = functools.partial(self.context, settings, project)
        # A flake beside it belongs to all that Git keeps.
        tree = next((one for one in (project.root, *project.root.parents) if (one / ".git").exists()), None)
        shared = self._caches(project, settings, offline=offline)
        local = (folder for folder in caches.folders(*shared.substituters) if folder.is_dir())
        folders = [project.root, *([tree] if tree else []), *local, *beside, *_weights()]
        place = choose.Place(self.plugins, context, folders, self.cache, os.environ)
        found = choose.choose(place, lambda: nix_store.discover(bring=bring, reporter=self.reporter))
        return replace(found, caches=shared)

    def _caches(self, project: Project, settings: Settings, *, offline: bool) -> Caches:
        """Return the binary caches and builders that count; tell of those that do not (yet)."""
        found, untrusted = caches.effective(settings.nix, os.environ)
        if offline:  # keys count for what an archive has
            return Caches(trusted_public_keys=found.trusted_public_keys)
        if untrusted:
            self.reporter.warn(
                f"{project.settings_path.name} names caches or builders that you have not said to trust, so "
                "they are not used: `cog-nix cache trust` shows them and lets them count"
            )
        for url in found.of_other_systems():
            self.reporter.warn(f"the builder {url} is not for {caches.SYSTEM}, so it builds nothing here")
        return found

    def package_of(self, project: Project, settings: Settings, suite: str, program: str) -> str:
        """Return the system package that has a program, for advice; "" where none is known."""
        from cog_nix.report import SilentReporter
        from cog_nix.resolve import programs as started  # only where one is missing

        quiet = replace(self, reporter=SilentReporter())
        return started.package_of(program, suite, self.plugins, quiet.context(settings, project))

    def tools(self, project: Project, loaded: Loaded, settings: Settings) -> Tools:
        """Return what locks are made with, which knows where each package is asked for."""
        from cog_nix.resolve.request import Tools  # a build with a fresh lock goes without

        return Tools(
            self.plugins,
            self.context(settings, project, loaded.config.build.requirements),
            self._optional_nix(project, settings),
            asked_in(project, loaded),
            python_asked_in(project, loaded),
        )

    @staticmethod
    def resolver(tools: Callable[[], Tools]) -> Callable[[Request], Lock]:
        """Return what makes locks with tools that are there when they are needed."""

        def resolve(request: Request) -> Lock:
            from cog_nix.resolve import stages  # a build with a fresh lock goes without

            return stages.resolve(request, tools())

        return resolve

    def _optional_nix(self, project: Project, settings: Settings) -> nix_store.Nix | None:
        """Return Nix where it is or can be brought; a lock can be made without it."""
        try:
            found = self.nix(project, settings)
        except NixError:
            return None
        return None if found.within else found


def _weights() -> list[Path]:
    """Return the store of weights, where there is one."""
    with suppress(CogNixError):  # whoever needs one is told
        found = default_store().files
        return [found] if found.is_dir() else []
    return []
