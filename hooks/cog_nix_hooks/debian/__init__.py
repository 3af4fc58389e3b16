"""Debian: the base system, its Python, and ``system_packages``, from the archive's signed indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.plugins.spec import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    from cog_nix.config.setting import SettingsTable
    from cog_nix.fetch.origins import Alternative
    from cog_nix.lock.model import Artifact, Deb, Interpreter, Lock
    from cog_nix.plugins.spec import (
        Context,
        Finding,
        InterpreterChoice,
        LibraryRequest,
        LibraryResolution,
        ProgramFiles,
        ProgramRequest,
        SystemFacts,
        SystemRequest,
        SystemResolution,
    )

# What resolving needs is imported when it is needed: a build with an up-to-date lock never does.


@hookimpl
def declare_settings() -> Sequence[SettingsTable]:
    """Declare ``[debian]``."""
    from .settings import TABLE

    return [TABLE]


@hookimpl
def provide_interpreter(
    python_version: str, pinned: Interpreter | None, context: Context
) -> InterpreterChoice | None:
    """Offer Debian's own Python for the versions that a suite has."""
    from .interpreter import offer_interpreter

    return offer_interpreter(python_version, pinned, context)


@hookimpl
def describe_system() -> SystemFacts:
    """Tell which packages every image has, and those of Cog's base image."""
    from .essential import FACTS

    return FACTS


@hookimpl
def resolve_system_packages(request: SystemRequest, context: Context) -> SystemResolution | None:
    """Resolve in a suite of Debian; leave other distributions' suites to other plugins."""
    from .resolve import resolve
    from .sources import is_debian

    return resolve(request, context) if is_debian(request.suite) else None


@hookimpl
def find_libraries(request: LibraryRequest, context: Context) -> LibraryResolution | None:
    """Look libraries up in a suite of Debian; leave other distributions' suites to other plugins."""
    from .libraries import find_libraries as find
    from .sources import is_debian

    return find(request, context) if is_debian(request.suite) else None


@hookimpl
def find_programs(request: ProgramRequest, context: Context) -> Mapping[str, str] | None:
    """Look programs up in a suite of Debian; leave other distributions' suites to other plugins."""
    from .sources import is_debian
    from .started import find_programs as find

    return find(request, context) if is_debian(request.suite) else None


@hookimpl
def find_fixes(
    updates: Sequence[tuple[str, Deb]], suite: str, context: Context
) -> Mapping[str, Sequence[str]] | None:
    """Read them in the changelogs of Debian's packages; leave other distributions' to other plugins."""
    from .fixes import find_fixes as find
    from .sources import is_debian

    return find(updates, context) if is_debian(suite) else None


@hookimpl
def provide_programs(name: Literal["nix", "container"], context: Context) -> Path | None:
    """Offer Debian's own, unpacked in the cache."""
    from .programs import provide

    return provide(name, context)


@hookimpl
def describe_programs(name: Literal["nix", "container"], context: Context) -> ProgramFiles | None:
    """Tell which packages Debian's own are unpacked from."""
    from .programs import describe

    return describe(name, context)


@hookimpl
def recall_programs(
    name: Literal["nix", "container"],
    record: str,
    trusted: bool,  # noqa: FBT001 - hooks have no others
    context: Context,
) -> bool | None:
    """Take the packages of an archive for cog-nix's own programs, unless others are unpacked."""
    from .programs import recall

    return recall(name, record, context, trusted=trusted)


@hookimpl
def origins_of(
    files: Sequence[Artifact], lock: Lock | None, context: Context
) -> Mapping[str, Sequence[Alternative]]:
    """Name other mirrors, and the archive as it was when the lock was made."""
    from .origins import origins_of as find

    return find(files, lock, context)


@hookimpl
def diagnose(context: Context) -> Iterable[Finding]:
    """Tell whether the archive can be reached, and what was fetched of cog-nix's own programs."""
    from .checks import diagnose as look

    return look(context)
