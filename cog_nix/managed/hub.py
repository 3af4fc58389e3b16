"""A repository of a hub with Hugging Face's interface as a source: ``hf://org/repo@revision``.

Which hub is ``HF_ENDPOINT``'s to say, and who asks ``HF_TOKEN``'s. A revision is resolved to a commit first,
so that all files are of one. The hub tells the sha256 of what is stored outside Git (LFS, Xet); other files
are small, and read.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from cog_nix.fetch import urls
from cog_nix.fetch.failures import StatusError, UnreachableError, UnusableUrlError
from cog_nix.fetch.parallel import run_all
from cog_nix.fetch.retry import retry
from cog_nix.fetch.transport import Transport
from cog_nix.managed.downloads import Take, download
from cog_nix.managed.source import WORKERS, Inventory, Listed, SourceError
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import list_of, mapping_of, size_of, text_of
from cog_nix.weights.lock import is_inside
from cog_nix.weights.model import File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from cog_nix.fetch.transport import Response
    from cog_nix.managed.source import Surroundings
    from cog_nix.report import Bar
    from cog_nix.weights.model import LockedLayer, LockedWeight

ENDPOINT = "HF_ENDPOINT"
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Variables with a token; the first that is set counts."""
_DEFAULT = "https://huggingface.co"
_COMMIT = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHA256 = re.compile("[0-9a-f]{64}")
_NEXT = re.compile(r"<([^>]*)>\s*;[^,]*\brel=\"?next\"?")
"""The one of a Link header's links that leads on (RFC 8288)."""
_HINTS = {
    401: "Set HF_TOKEN to a token that may read it. A name that is wrong is answered like this as well.",
    403: "Accept the model's terms on its page with the account whose token HF_TOKEN is.",
    404: "Look for its name, and the revision's, on its page.",
}


@dataclass(frozen=True)
class HubSource:
    """A repository of models at one revision.

    Args:
        uri: ``hf://org/repo`` or ``hf://org/repo@revision``.
        around: what to work with.
    """

    uri: str
    around: Surroundings
    pinned: str = ""
    """A commit that the revision stands for, whatever it stands for now; "": it is asked for."""

    def inventory(self, known: LockedWeight | None) -> Inventory:  # noqa: ARG002 - see complete
        """Return the files of the repository; digests of small files are left to :meth:`complete`.

        Raises:
            SourceError: there is no such repository or revision, it may not be read, or the hub's answer
                makes no sense.
            FetchError: the hub cannot be reached.
        """
        with self._opener() as opener:
            url: str | None = self._url("api/models", self.repository, "tree", self.commit, "?recursive=true")
            seen: set[str] = set()
            found: list[Listed] = []
            while url:
                if url in seen:
                    raise self._strange("its list of files leads in a circle")
                seen.add(url)
                entries, url = self._page(opener, url)
                found += entries
        return Inventory(
            tuple(sorted(found, key=lambda listed: listed.path.encode())), f"commit:{self.commit}"
        )

    def complete(self, files: Sequence[Listed], known: LockedWeight | None) -> list[File]:
        """Return files with their digests; what the hub does not tell is read, or known of that commit."""
        told = self._told_before(known)
        unknown = [one for one in files if not one.digest and (one.path, one.size) not in told]
        with (
            self._opener() as opener,
            self.around.reporter.bytes_bar(
                f"Reading {len(unknown)} small files", sum(one.size for one in unknown)
            ) as bar,
        ):
            tasks = [partial(self._read, opener, one, bar) for one in unknown]
            read = dict(zip(unknown, run_all(tasks, WORKERS, self.around.cancelled), strict=True))
        return [
            File(one.path, one.size, one.digest or told.get((one.path, one.size)) or read[one])
            for one in files
        ]

    def bring(self, files: Sequence[File], bar: Bar) -> dict[File, LockedLayer]:
        """Download files.

        Raises:
            FetchError: one cannot be had, or is another than the hub says.
        """
        with self._opener() as opener, self._explained():
            return download({self._file_url(one.path): one for one in files}, opener, self.around, bar)

    @property
    def repository(self) -> str:
        """``org/repo``."""
        return self._parts[0]

    @cached_property
    def commit(self) -> str:
        """The commit that the revision stands for now."""
        if self.pinned:
            return self.pinned
        with self._opener() as opener:
            url = self._url("api/models", self.repository, "revision", self._parts[1])
            found = self._json(opener, url)[0]
        commit = found.get("sha") if isinstance(found, dict) else None
        if not (isinstance(commit, str) and _COMMIT.fullmatch(commit)):
            raise self._strange(f"it says that the revision {self._parts[1]} is {commit!r}")
        return commit

    @property
    def _parts(self) -> tuple[str, str]:
        repository, _, revision = self.uri.partition("://")[2].partition("@")
        return repository, revision or "main"

    @property
    def _endpoint(self) -> str:
        return (self.around.environ.get(ENDPOINT) or _DEFAULT).rstrip("/")

    def _told_before(self, known: LockedWeight | None) -> Mapping[tuple[str, int], str]:
        """Return digests of the same commit, where the weight has no other source that they may be of."""
        if known is None or [one.fingerprint for one in known.sources] != [f"commit:{self.commit}"]:
            return {}
        if known.sources[0].uri != self.uri:
            return {}
        return {(one.path, one.size): one.digest for one in known.files}

    def _read(self, opener: _HubOpener, listed: Listed, bar: Bar) -> str:
        url = self._file_url(listed.path)
        with self._explained():
            # Small files come whole or not at all: what a cut leaves of them is not worth keeping.
            digest, size = Take(url, opener, self.around, bar.advance).run()
        if size != listed.size:
            raise self._strange(f"{listed.path} has {size} bytes, and {listed.size} in its list")
        return digest

    def _page(self, opener: _HubOpener, url: str) -> tuple[list[Listed], str | None]:
        data, link = self._json(opener, url)
        try:
            entries = [_listed(one) for one in map(mapping_of, list_of(data)) if one.get("type") == "file"]
            following = _NEXT.search(link)
            return entries, urljoin(url, following[1]) if following else None
        except (ValueError, KeyError, TypeError) as error:
            raise self._strange(f"its list of files is not one: {error}") from error

    def _json(self, opener: _HubOpener, url: str) -> tuple[Any, str]:
        """Return what the hub says, and the Link header beside it."""

        def read() -> tuple[bytes, str]:
            with opener.open(url) as response:
                return b"".join(response.chunks), response.headers.get("link", "")

        around = self.around
        with self._explained():
            body, link = retry(
                read, around.policy, partial(UnreachableError, url), cancelled=around.cancelled
            )
        try:
            return jsonvalue.loads(body), link
        except ValueError as error:
            raise self._strange(f"what it answers is not JSON: {error}") from error

    def _url(self, where: str, repository: str, *rest: str) -> str:
        *names, last = rest
        last = last if last.startswith("?") else f"/{quote(last, safe='')}"
        middle = "".join(f"/{quote(name, safe='')}" for name in names)
        return f"{self._endpoint}/{where}/{quote(repository)}{middle}{last}"

    def _file_url(self, path: str) -> str:
        return f"{self._endpoint}/{quote(self.repository)}/resolve/{self.commit}/{quote(path)}"

    @contextmanager
    def _opener(self) -> Iterator[_HubOpener]:
        token = next((value for name in TOKENS if (value := self.around.environ.get(name))), "")
        with Transport() as transport:
            transport.prepare()
            yield _HubOpener(transport, self._endpoint, token)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say of a refusal what helps with a hub."""
        try:
            yield
        except StatusError as error:
            what = f"{error.host} answered {error.status} {error.phrase}".rstrip()
            raise SourceError(self.uri, what, hint=_HINTS.get(error.status, error.hint)) from error
        except UnusableUrlError as error:
            raise SourceError(self.uri, error.message, hint=f"Correct {ENDPOINT}, or unset it.") from error

    def _strange(self, reason: str) -> SourceError:
        hint = f"Run it again; if it stays so, look at {ENDPOINT}: is {self._endpoint} a hub of models?"
        return SourceError(self.uri, reason, hint=hint)


@dataclass(frozen=True)
class _HubOpener:
    """Opens URLs of a hub; the token is for the hub alone, not for where it sends us on to."""

    transport: Transport
    endpoint: str
    token: str

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[Response]:
        """Ask for a URL.

        Raises:
            TransientError: worth another try.
            FetchError: the hub refuses.
        """
        own = self.token and urls.origin(url) == urls.origin(self.endpoint)
        shown = {"Authorization": f"Bearer {self.token}"} if own else {}
        with self.transport.open(url, {**(headers or {}), **shown}) as response:
            yield response


def _listed(entry: Mapping[str, Any]) -> Listed:
    path = text_of(entry["path"])
    if not is_inside(path):
        raise ValueError(f"{path!r} is not a path in a repository")
    listed = Listed(path, size_of(entry["size"]))
    if not entry.get("lfs"):
        return listed
    kept = mapping_of(entry["lfs"])
    digest = text_of(kept["oid"]).removeprefix("sha256:")
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a sha256")
    return replace(listed, size=size_of(kept["size"]), digest=f"sha256:{digest}")
