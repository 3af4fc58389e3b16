"""Whether Nix runs here or in a container: here wherever builds can be isolated here."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cog_nix.errors import CogNixError, NixError
from cog_nix.namespaces import why_no_namespaces
from cog_nix.plugins.spec import WorkerRuntime
from cog_nix.report import SilentReporter
from cog_nix.store import nix as nix_store
from cog_nix.store.choice import CONTAINER, VARIABLE
from cog_nix.system.boot import this_boot
from cog_nix.system.certificate import BUNDLES
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cog_nix.namespaces.causes import Obstacle
    from cog_nix.plugins.manager import Plugins
    from cog_nix.plugins.spec import Context, Runtime
    from cog_nix.store.nix import Nix


@dataclass(frozen=True)
class Place:
    """What there is to choose from."""

    plugins: Plugins
    """Offer runtimes."""
    context: Callable[[], Context]
    """Makes the services; called when a container is needed."""
    folders: Sequence[Path]
    """What programs read and write beside the cache and the store: the project."""
    cache: Path
    environment: Mapping[str, str]


def choose(place: Place, discover: Callable[[], Nix]) -> Nix:
    """Return the Nix to use.

    Args:
        place: where this is.
        discover: finds the Nix of this machine, or brings one.

    Raises:
        NixError: there is no Nix, or builds cannot be isolated here and no container can be had.
    """
    kind, _, name = place.environment.get(VARIABLE, "").partition(":")
    if kind == CONTAINER:
        runtime, reasons = _runtime(place.plugins, name)
        if runtime is None:
            raise NixError(f"{VARIABLE} asks for a container, and there is no runtime to run it.\n{reasons}")
        return _contained(place, runtime)
    # A daemon isolates builds as another user, and maybe elsewhere: a build tells whether it can.
    own = place.environment.get("COG_NIX_STORE") or os.geteuid() == 0
    if _isolated_before(place.cache) or (not own and nix_store.daemon(place.environment)):
        return discover()
    why = why_no_namespaces()
    if why is None:
        _remember_isolated(place.cache)
        return discover()
    runtime, reasons = _runtime(place.plugins, name="")
    if runtime is None:
        raise _nowhere(why, reasons)
    return _contained(place, runtime, why.message)


def would_use(plugins: Plugins, environment: Mapping[str, str]) -> str | None:
    """Return the title of the runtime in whose containers Nix would run; None: there is none."""
    kind, _, name = environment.get(VARIABLE, "").partition(":")
    runtime, _ = _runtime(plugins, name if kind == CONTAINER else "")
    return runtime.title if runtime else None


def _contained(place: Place, runtime: Runtime, reason: str = "") -> Nix:
    from cog_nix.container import image  # noqa: PLC0415 - a build without a container goes without
    from cog_nix.container.worker import ContainerWorker  # noqa: PLC0415 - as above

    def held() -> str:
        context = place.context()
        context.reporter.info(" ".join(filter(None, [reason, f"Nix runs in a container ({runtime.title})."])))
        return image.held(runtime, image.Maker(place.plugins, context).builder(), context)

    store = nix_store.own_store(place.environment)
    # Nix fetches what others wrote with the certificates that this machine trusts.
    trusted = [Path(path) for name in BUNDLES if (path := place.environment.get(name))]
    folders = [store, *place.folders, *(path for path in trusted if path.is_file())]
    worker = ContainerWorker(cast("WorkerRuntime", runtime), held, folders, place.cache)
    return nix_store.Nix(worker.launchers, "own", store, within=worker)


def _runtime(plugins: Plugins, name: str) -> tuple[Runtime | None, str]:
    """Return the first usable runtime that can run Nix, or why there is none, one reason a line."""
    names = [name] if name else plugins.runtime_names()
    reasons: list[str] = []
    for one in names:
        runtime = plugins.provide_runtime(one, SilentReporter())
        if not isinstance(runtime, WorkerRuntime):
            continue
        why = runtime.available()
        if why is None:
            return runtime, ""
        reasons.append(f"  {one}: {why}")
    return None, "\n".join(reasons) or f"  no plugin runs it in {name}"


def _nowhere(why: Obstacle, reasons: str) -> NixError:
    without = "Without them Nix can run in a container, and there is nothing to run one"
    return NixError(f"{why.message}\n{without}:\n{reasons}", hint=why.remedy)


def _here() -> str:
    """Return what tells this boot, this user, and this container from others."""
    spaces = [str(Path("/proc/self/ns", name).readlink()) for name in ("user", "mnt")]
    return " ".join([this_boot(), str(os.geteuid()), *spaces])


def _isolated_before(cache: Path) -> bool:
    with suppress(OSError):
        return (cache / "namespaces").read_text(encoding="ascii") == _here()
    return False


def _remember_isolated(cache: Path) -> None:
    with suppress(OSError, CogNixError):  # a cache that cannot be written to is told where it matters
        cache.mkdir(parents=True, exist_ok=True)
        write_atomically(cache / "namespaces", _here().encode())
