"""The runtime of commands that run images: one that can be used, and what is said of it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from cog_nix.cli.platforms import parsed
from cog_nix.errors import PluginError
from cog_nix.plugins.manager import AUTO
from cog_nix.plugins.spec import ExaminedRuntime
from cog_nix.plugins.unusable import NoRuntime
from cog_nix.runtime.session import require

if TYPE_CHECKING:
    from cog_nix.cli.session import Session
    from cog_nix.plugins.spec import Runtime
    from cog_nix.report import Reporter
    from cog_nix.system.platforms import Platform

_UPSTREAMS = "docker"


def usable_runtime(session: Session) -> Runtime:
    """Return the runtime that this command uses.

    Raises:
        PluginError: nobody knows its name.
        RuntimeFailure: it cannot be used, and why.
    """
    runtime = session.find_runtime()
    if session.runtime_name != AUTO or isinstance(runtime, NoRuntime):  # who was found has been asked
        require(runtime)
    return runtime


def hold(session: Session, runtime: Runtime, image: str, platform: str | None) -> None:
    """Pull an image that the runtime does not hold, or holds for another platform than the named one.

    Args:
        session: its reporter is used.
        runtime: what is to hold it.
        image: its name.
        platform: what ``--platform`` says; None: nothing, and whatever is held will do.

    Raises:
        FlagError: there is no such platform.
        ImageError: it cannot be pulled.
        PluginError: the runtime pulls for no platform that it is told.
    """
    wanted = None if platform is None else parsed(platform)
    if runtime.image_id(image) is None:
        _pull(runtime, image, session.reporter, wanted)
    elif wanted and (held := _made_for(runtime, image)) not in ("", wanted.name):
        session.reporter.info(f"{image} is here for {held}; pulling it for {wanted}")
        _pull(runtime, image, session.reporter, wanted)


def _pull(runtime: Runtime, image: str, reporter: Reporter, wanted: Platform | None) -> None:
    """Pull an image by a runtime that may be of a plugin from when ``pull`` was told of no platform."""
    if wanted is None:
        runtime.pull(image, reporter)
        return
    try:
        inspect.signature(runtime.pull).bind(image, reporter, wanted)
    except TypeError as error:
        plugin = type(runtime).__module__.partition(".")[0]
        raise PluginError(
            f"The runtime {runtime.name} of the plugin {plugin} pulls images for the machine's own platform"
            f" alone, so {image} cannot be had for {wanted}.",
            hint="Update the plugin, leave out --platform, or name another runtime (--runtime).",
        ) from error
    runtime.pull(image, reporter, wanted)


def _made_for(runtime: Runtime, image: str) -> str:
    """Return the platform of a held image, ``linux/amd64``; "" where the runtime does not tell."""
    if not isinstance(runtime, ExaminedRuntime):
        return ""
    attributes = runtime.image_attributes(image)
    return f"{attributes.get('Os')}/{attributes.get('Architecture')}"


def building_for(runtime: Runtime) -> str:
    """Return the line that says that a project is built; upstream's, where its users see what they know."""
    image = "Docker image" if runtime.name == _UPSTREAMS else "image"
    return f"Building {image} from environment in cog.yaml...\n"


def running_in(runtime: Runtime, line: str) -> str:
    """Return the line that says that a command is run in the project's environment."""
    return f"\nRunning {line} in {runtime.title} with the current directory mounted as a volume..."


def starting_in(runtime: Runtime) -> str:
    """Return the line that says that a model is started, as :func:`building_for`."""
    where = "Docker image" if runtime.name == _UPSTREAMS else f"image in {runtime.title}"
    return f"\nStarting {where} and running setup()..."
