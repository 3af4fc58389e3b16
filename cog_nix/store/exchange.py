"""Copies store paths to other stores and binary caches and takes them from there, as Nix does it."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, replace
from http.server import SimpleHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from cog_nix.errors import ConfigError, NixError
from cog_nix.store import events, failures
from cog_nix.store.bucket import SCHEME, Bucket, reachable
from cog_nix.store.serving import Handler, Server
from cog_nix.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cog_nix.report import Reporter
    from cog_nix.store.nix import Nix

_CACHES = frozenset({"file", "http", "https", "s3"})
"""Schemes of binary caches: files that are compressed and signed as they are written."""
_STORES = frozenset({"ssh", "ssh-ng"})
_DEFAULTS = {"compression": "zstd", "parallel-compression": "true"}
"""xz, Nix's own default, is smaller and takes many times as long (docs/design/caches.md)."""


class UnknownStoreError(NixError):
    """This Nix cannot open a store.

    Args:
        url: as the user has it.
    """

    def __init__(self, url: str) -> None:
        super().__init__(
            hint=f"It was built without {urlsplit(url).scheme}: use the Nix of nixos.org (COG_NIX_NIX "
            "names it), or push to a folder (file://) and copy that."
        )
        self.url = url

    def __str__(self) -> str:
        return f"This Nix cannot open {self.url}."


class NotServedError(ConfigError):
    """A cache cannot be served.

    Args:
        host: address to listen on.
        port: the port.
        error: what listening raised.
    """

    def __init__(self, host: str, port: int, error: OSError) -> None:
        super().__init__(hint="Name another --host or --port.")
        self.host, self.port, self.reason = host, port, error.strerror or str(error)

    def __str__(self) -> str:
        return f"Cannot listen on {self.host}:{self.port}: {self.reason}."


@dataclass(frozen=True)
class Copied:
    """What a copy did."""

    paths: int
    """How many store paths were to be there."""
    copied: int
    """How many were not."""


def push(nix: Nix, store_paths: Sequence[str], url: str, key: Path | None, reporter: Reporter) -> Copied:
    """Bring store paths, with all that they refer to, to a binary cache or to another store.

    Args:
        nix: whose store has them.
        store_paths: what to bring.
        url: of the cache or the store.
        key: file of the secret key that signs; None: nothing is signed. Nix reads it; it is not copied.
        reporter: shows what goes over.

    Raises:
        ConfigError: the URL is not one of a store.
        NixError: it cannot be brought there. What came stays, each path whole or not at all.
    """
    check(url)
    closure = nix.closure(store_paths)
    if key and urlsplit(url).scheme in _STORES:
        _done(nix.subcommand("store", "sign", "--key-file", str(key), *closure), nix)
    logged = ["--log-format", "internal-json", "-v"]
    copying = events.watch_copies(reporter, f"Copying {len(closure)} store paths")
    with reachable(url) as real, copying as log:
        command = nix.subcommand("copy", "--to", target_url(real, key), *logged, *store_paths)
        finished = run(command, env=nix.environment(), check=False, on_stderr=log.feed)
    if finished.returncode:
        raise explained(url, log.errors())
    if key and urlsplit(url).scheme in _STORES:
        # What was built there, or came unsigned, gets our signature where it is the same as ours.
        _done(nix.subcommand("store", "copy-sigs", "--substituter", nix.url, *closure, store=url), nix)
    return Copied(len(closure), log.copied)


def check(url: str) -> None:
    """Check that a URL may be one of a binary cache or a store; nothing is asked there.

    Raises:
        ConfigError: it is not.
    """
    scheme = urlsplit(url).scheme
    if scheme == SCHEME:
        Bucket.parse(url, os.environ)
    elif scheme not in _CACHES | _STORES:
        raise failures.NotACacheError(
            url,
            "is not a URL of a binary cache or a store",
            hint="For example: file:///srv/cache, https://…, s3://BUCKET?region=…, ssh-ng://HOST",
        )


def target_url(url: str, key: Path | None) -> str:
    """Return the URL that Nix is given.

    Args:
        url: as the user has it; its own parameters count.
        key: file of the secret key.
    """
    parts = urlsplit(url)
    if parts.scheme in _STORES:
        return url
    own = dict(parse_qsl(parts.query, keep_blank_values=True))
    signed = {"secret-key": str(key)} if key else {}
    query = urlencode({**_DEFAULTS, **signed, **own}, quote_via=quote, safe="/:")
    return parts._replace(query=query).geturl()


def pull(nix: Nix, store_paths: Sequence[str], url: str, reporter: Reporter) -> list[str]:
    """Take store paths from a binary cache or a store; return those that it does not have.

    Args:
        nix: whose store gets them; its trusted keys count.
        store_paths: what is wanted.
        url: where from; "": where builds take from.
        reporter: is told why one does not come.
    """
    if url:
        nix = replace(nix, caches=replace(nix.caches, substituters=(url,)))
    return [] if nix.obtain(store_paths, reporter) else nix.invalid(store_paths)


def server(folder: Path, host: str, port: int) -> Server:
    """Return a server that serves a binary cache in a folder, read-only.

    Args:
        folder: what ``file://`` names.
        host: address to listen on.
        port: 0: any that is free.

    Raises:
        ConfigError: the folder is no binary cache, or the address cannot be had.
    """
    if not (folder / "nix-cache-info").is_file():
        raise failures.NotACacheError(
            folder,
            "is not a binary cache: it has no nix-cache-info",
            hint=f"Fill it first:  cog-nix cache push file://{folder.absolute()}",
        )
    handler = functools.partial(_Files, directory=str(folder))
    try:
        return Server((host, port), handler)
    except OSError as error:
        raise NotServedError(host, port, error) from error


class _Files(Handler, SimpleHTTPRequestHandler):
    """Serves files; folders have no listing."""

    def list_directory(self, path: object) -> None:
        """Refuse: names of store paths are nobody's business who does not know them."""
        del path
        self.send_error(404)


def explained(url: str, said: str) -> NixError:
    """Return the error for a copy that failed."""
    if "don't know how to open Nix store" in said or "unsupported" in said:
        return UnknownStoreError(url)
    return failures.explain(said)


def _done(command: Sequence[str], nix: Nix) -> str:
    finished = run(command, env=nix.environment(), check=False)
    if finished.returncode:
        raise failures.explain(finished.stderr)
    return finished.stdout
