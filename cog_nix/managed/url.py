"""A file behind a URL as a source: ``https://example.org/model.safetensors``."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cog_nix.fetch import urls
from cog_nix.fetch.failures import StatusError, UnreachableError
from cog_nix.fetch.retry import retry
from cog_nix.fetch.transport import Transport, whole_number
from cog_nix.managed.downloads import Take, download
from cog_nix.managed.source import Inventory, Listed, SourceError
from cog_nix.weights.lock import is_inside
from cog_nix.weights.model import File

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cog_nix.managed.source import Surroundings
    from cog_nix.report import Bar
    from cog_nix.weights.model import LockedFile, LockedLayer, LockedWeight

_WEAK = "W/"


@dataclass(frozen=True)
class UrlSource:
    """One file.

    Args:
        uri: ``http://…`` or ``https://…``.
        around: what to work with.
    """

    uri: str
    around: Surroundings

    def inventory(self, known: LockedWeight | None) -> Inventory:
        """Return the file. It is fetched into the store, unless it has the ETag that it was imported with.

        Raises:
            SourceError: the URL names no file, or the server refuses.
            FetchError: the server cannot be reached.
        """
        name = urls.filename_of(self.uri)
        if not is_inside(name):
            raise SourceError(self.uri, "its path ends with no file name", hint="Name a file.")
        with self._explained(), Transport() as transport:
            transport.prepare()
            etag, size = self._head(transport)
            fingerprint = f"etag:{etag}" if etag else ""
            if etag and (before := self._known(known, name, fingerprint)):
                return Inventory((Listed(name, before.size, before.digest),), fingerprint)
            with self.around.reporter.bytes_bar(f"Fetching {name}", size) as bar:
                digest, size = Take(self.uri, transport, self.around, bar.advance, etag).run()
        return Inventory((Listed(name, size, digest),), fingerprint or digest)

    def complete(self, files: Sequence[Listed], known: LockedWeight | None) -> list[File]:  # noqa: ARG002 - it is read
        """Return the file with the digest that it has already."""
        return [File(one.path, one.size, one.digest) for one in files]

    def bring(self, files: Sequence[File], bar: Bar) -> dict[File, LockedLayer]:
        """Download the file, where the store has lost it since it was imported.

        Raises:
            FetchError: it cannot be had, or is another one.
        """
        with self._explained(), Transport() as transport:
            transport.prepare()
            return download(dict.fromkeys([self.uri], files[0]), transport, self.around, bar)

    def _known(self, known: LockedWeight | None, name: str, fingerprint: str) -> LockedFile | None:
        """Return the file as it was imported with this ETag, where it cannot be another source's."""
        uris = [one.uri for one in known.sources] if known else []
        others = [one for one in uris if one != self.uri]
        if known is None or any(
            not one.startswith("http") or urls.filename_of(one) == name for one in others
        ):
            return None
        if not any((one.uri, one.fingerprint) == (self.uri, fingerprint) for one in known.sources):
            return None
        return next((one for one in known.files if one.path == name), None)

    def _head(self, transport: Transport) -> tuple[str, int | None]:
        """Return the file's strong ETag, "" for none, and its size, None where it is not told."""

        def ask() -> tuple[str, int | None]:
            with transport.open(self.uri, method="HEAD") as response:
                headers = response.headers
                return headers.get("etag", ""), whole_number(headers.get("content-length", ""))

        policy, cancelled = self.around.policy, self.around.cancelled
        try:
            etag, size = retry(ask, policy, partial(UnreachableError, self.uri), cancelled=cancelled)
        except StatusError:
            return "", None  # not every server answers HEAD; GET will tell
        return ("" if etag.startswith(_WEAK) else etag), size

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except StatusError as error:
            what = f"{error.host} answered {error.status} {error.phrase}".rstrip()
            hint = f"Correct its {self.around.key}." if error.gone else error.hint
            raise SourceError(self.uri, what, hint=hint) from error
