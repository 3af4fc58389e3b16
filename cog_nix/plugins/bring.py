"""Programs that plugins bring where this machine has none that will do: Nix, and a container engine."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from cog_nix.errors import FetchError
from cog_nix.plugins.manager import load
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Literal

    from cog_nix.config.model import Settings
    from cog_nix.fetch.origins import Supplier
    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import Fetcher
    from cog_nix.report import Reporter


def bring(
    name: Literal["nix", "container"],
    reporter: Reporter,
    plugins: Plugins | None = None,
    settings: Settings | None = None,
    *,
    offline: bool = False,
    suppliers: Sequence[Supplier] = (),
    record: str = "",
    trusted: bool = False,
) -> Path | None:
    """Return a folder of programs, which are fetched the first time; None when no plugin has them.

    Args:
        name: what is needed, as the hook ``provide_programs`` says.
        reporter: shows the download.
        plugins: who is asked; None: all that are installed.
        settings: cog-nix.toml; None: there is none.
        offline: whether nothing may be fetched.
        suppliers: hold files, and are asked first; also then.
        record: says which files these have (the hook ``recall_programs``); "": nothing.
        trusted: whether the user trusts who wrote that.

    Raises:
        FetchError: they cannot be downloaded, or must not be.
    """
    from cog_nix.plugins.spec import Context  # noqa: PLC0415 - as above

    cache = cache_dir()
    fetcher = _LaterFetcher(cache, reporter, suppliers, offline=offline)
    plugins = plugins or load()
    settings = settings or plugins.settings()
    context = Context(settings, cast("Fetcher", fetcher), reporter, cache)
    if record and plugins.recall_programs(name, record, trusted, context) is False:
        reporter.warn(
            "the Nix in the archive is left alone: this cog-nix does not know it by its hashes, and it would "
            "run as you. If you trust who made the archive:  --trust-archive"
        )
    return plugins.provide_programs(name, context)


class _LaterFetcher:
    """A :class:`cog_nix.plugins.spec.Fetcher` that is made when it is needed: importing it takes 70 ms."""

    def __init__(
        self, cache: Path, reporter: Reporter, suppliers: Sequence[Supplier], *, offline: bool
    ) -> None:
        self._cache, self._reporter = cache, reporter
        self._suppliers, self._offline = suppliers, offline

    @cached_property
    def _real(self) -> Fetcher:
        if self._offline and not self._suppliers:
            raise FetchError(
                "This machine lacks programs that cog-nix would fetch, and --offline forbids that.",
                hint="Run it once with a network; they are kept in the cache.",
            )
        from cog_nix.fetch.caching import CachingFetcher  # noqa: PLC0415 - that is the point

        return CachingFetcher(self._cache, self._reporter, suppliers=self._suppliers, offline=self._offline)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
