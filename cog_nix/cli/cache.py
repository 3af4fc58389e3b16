"""``cog-nix cache``: share what is built with other machines.

stdout gets a public key (``key``) or the server's URL (``serve``), and nothing otherwise; narration goes to
stderr.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cog_nix.build import pull as of_project
from cog_nix.build.services import Services
from cog_nix.build.story import BuildOptions
from cog_nix.cli.building import build_image
from cog_nix.cli.options import ProjectOptions
from cog_nix.errors import ConfigError, FlagError
from cog_nix.project.find import find_project
from cog_nix.store import caches, exchange
from cog_nix.store.failures import NotObtainedError
from cog_nix.system.keys import KEY_VARIABLE, KeyFileError, SecretKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.cli.session import Session


class _NoCacheError(ConfigError):
    """Neither the command line nor the project names a cache that counts."""

    def __str__(self) -> str:
        return "There is no cache to pull from."


class Action(StrEnum):
    """What to do."""

    push = "push"
    pull = "pull"
    serve = "serve"
    key = "key"
    trust = "trust"


@dataclass(frozen=True, kw_only=True)
class _Options(ProjectOptions):
    action: Annotated[Action, typer.Argument(help="push, pull, serve, key or trust.")]
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WHERE]...",
            help="push URL; pull [URL]; serve FOLDER; key NAME FILE.",
        ),
    ] = None
    secret_key: Annotated[
        Path | None,
        typer.Option(
            "--secret-key",
            envvar=KEY_VARIABLE,
            help="push: the file of the key that signs what is pushed.",
        ),
    ] = None
    downloads: Annotated[
        bool,
        typer.Option("--downloads", help="push: bring what the lock names as well: packages and wheels."),
    ] = False
    compressed: Annotated[
        bool,
        typer.Option("--compressed", help="push: bring the layers in the form that registries hold, too."),
    ] = False
    host: Annotated[str, typer.Option("--host", help="serve: the address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option("--port", "-p", help="serve: the port; 0: any that is free.")] = 8394


def cache(session: Session, options: _Options) -> None:
    """Do it.

    Raises:
        CogNixError: it cannot be done.
    """
    {
        Action.push: _push,
        Action.pull: _pull,
        Action.serve: _serve,
        Action.key: _key,
        Action.trust: _trust,
    }[options.action](session, options)


def _push(session: Session, options: _Options) -> None:
    (url,) = _taken(options, 1, 1, "a URL", "file:///srv/cache")
    exchange.check(url)  # told before anything is built
    key = options.secret_key.expanduser().absolute() if options.secret_key else None
    if key:
        SecretKey.read(key)  # the same
    project = find_project(Path.cwd(), options.config_file)
    built = build_image(session, options.config_file, BuildOptions(oci=options.compressed))
    beside = [*caches.folders(url), *([key] if key else [])]
    settings = session.plugins.settings(project)
    nix = Services(session.plugins, session.reporter).nix(project, settings, beside=beside)
    paths = of_project.shareable(project, built, nix, downloads=options.downloads)
    session.reporter.step(f"Pushing to {url}")
    done = exchange.push(nix, paths, url, key, session.reporter)
    there = "; the others were there" if done.copied < done.paths else ""
    session.reporter.info(f"Pushed {done.copied} of {done.paths} store paths{there}")
    if not key:
        session.reporter.warn(
            "nothing was signed, so others take it only from a cache that they trust as a whole: "
            "`cog-nix cache key` makes a key, --secret-key names it"
        )


def _pull(session: Session, options: _Options) -> None:
    (url,) = (*_taken(options, 0, 1, "one URL at most", "https://cache.example.org"), "")[:1]
    if url:
        exchange.check(url)
    project = find_project(Path.cwd(), options.config_file)
    services = Services(session.plugins, session.reporter, whole=True)
    nix = services.nix(project, session.plugins.settings(project), beside=caches.folders(url))
    if not url and not nix.caches.substituters:
        raise _NoCacheError(
            hint='Name its URL, or in cog-nix.toml: [nix] substituters = ["https://cache.example.org"]\n'
            "What that names already counts after:  cog-nix cache trust",
        )
    wanted = of_project.wanted(project, services, nix)
    missing = exchange.pull(nix, wanted, url, session.reporter)
    session.reporter.info(f"{len(wanted) - len(missing)} of {len(wanted)} store paths are here")
    if missing:
        raise NotObtainedError(
            missing,
            hint="cog-nix build makes them here. Whose signatures count: [nix] trusted_public_keys, or "
            f"{caches.VARIABLES['trusted_public_keys']}.",
        )


def _serve(session: Session, options: _Options) -> None:
    (folder,) = _taken(options, 1, 1, "a folder", "/srv/cache")
    with exchange.server(Path(folder), options.host, options.port) as server:
        typer.echo(f"http://{options.host}:{server.server_address[1]}")
        session.reporter.info(f"Serving {folder} until Ctrl-C")
        server.serve_forever()


def _key(session: Session, options: _Options) -> None:
    name, file = _taken(options, 2, 2, "a name and a file", "ci-1 ~/keys/ci-1")
    secret = Path(file).expanduser().resolve()
    inside = next((one for one in secret.parents if (one / options.config_file).is_file()), None)
    if inside:
        raise KeyFileError(
            secret,
            f"lies in the project {inside}, and would be part of its image",
            hint="Keep keys elsewhere, for example in ~/.config/cog-nix.",
        )
    typer.echo(SecretKey.make(name, secret))
    session.reporter.info(
        f"{secret} signs: keep it secret. Who takes from the cache needs the line above in "
        "[nix] trusted_public_keys of cog-nix.toml."
    )


def _trust(session: Session, options: _Options) -> None:
    _taken(options, 0, 0, "no arguments", "")
    project = find_project(Path.cwd(), options.config_file)
    named = caches.of_project(session.plugins.settings(project).nix)
    new = named - caches.trusted(os.environ)
    if not new:
        session.reporter.info(
            f"{project.settings_path.name} names nothing that you do not trust already"
            if named
            else f"{project.settings_path.name} names neither caches nor builders"
        )
        return
    file = caches.trust(new, os.environ)
    for line in caches.shown(new):
        session.reporter.info(f"  {line}")
    session.reporter.info(f"These count for you from now on, in every project ({file})")


def _taken(options: _Options, least: int, most: int, what: str, example: str) -> Sequence[str]:
    """Return the arguments of an action.

    Raises:
        ConfigError: there are too few, or too many.
    """
    given = options.arguments or []
    if not least <= len(given) <= most:
        raise FlagError(
            f"cog-nix cache {options.action}",
            f"takes {what}",
            hint=f"Write: cog-nix cache {options.action} {example}".rstrip(),
        )
    return given
