"""Store paths as binary caches have them: a Nix archive, and what is said beside it.

What is said comes from Nix's oldest commands, whose words are the same from 2.8 to 2.34; those of
``nix path-info --json`` are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from cog_nix.store import events
from cog_nix.store.failures import UnexpectedAnswerError, explain
from cog_nix.store.paths import STORE_DIR, base32
from cog_nix.system.jsonvalue import list_of, mapping_of, size_of, text_of
from cog_nix.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from cog_nix.report import Reporter
    from cog_nix.store.nix import Nix
    from cog_nix.system.keys import SecretKey

_NAME = re.compile(r"[0-9a-z]{32}-[0-9a-zA-Z+._?=-]{1,211}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[!-~]*")
_UNTRUSTED = re.compile(rf"path '{STORE_DIR}/([^']+)' is untrusted")
_CONTENT = "ca:"


@dataclass(frozen=True)
class StoreObject:
    """What is said of a store path (Nix manual, "Store Object")."""

    name: str
    """The last part of the path."""
    sha256: str
    """Of its Nix archive, hexadecimal."""
    size: int
    """Bytes of that."""
    references: tuple[str, ...]
    """Names of the store paths that it refers to; it may be one of them."""
    signatures: tuple[str, ...] = ()
    """``KEY:SIGNATURE`` of binary caches."""
    content: str = ""
    """How the path follows from what is there (``fixed:r:sha256:…``); "": it does not."""

    @classmethod
    def parse(cls, name: str, said: object) -> Self:
        """Read what :meth:`document` wrote.

        Raises:
            ValueError: it is something else.
            TypeError: the same.
            KeyError: the same.
        """
        told = mapping_of(said)
        references = _all(_NAME, told["references"])
        words = _all(_WORD, [*list_of(told["signatures"]), told["content"]])
        _all(_NAME, [name])
        _all(_SHA256, [told["sha256"]])
        return cls(name, told["sha256"], size_of(told["size"]), references, words[:-1], words[-1])

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it, but for the name."""
        listed = {"references": list(self.references), "signatures": list(self.signatures)}
        return {"sha256": self.sha256, "size": self.size, **listed, "content": self.content}

    def __or__(self, other: Self) -> Self:
        """Return what the other says, with the signatures of this one where it is of the same files."""
        same = self == replace(other, signatures=self.signatures)
        own = self.signatures if same else ()
        return replace(other, signatures=tuple(dict.fromkeys((*own, *other.signatures))))

    def signed(self, key: SecretKey) -> Self:
        """Return it with a key's signature (Nix manual, "Signing")."""
        digest = base32(bytes.fromhex(self.sha256))
        references = ",".join(f"{STORE_DIR}/{one}" for one in sorted(self.references))
        signature = key.sign(f"1;{self.path};sha256:{digest};{self.size};{references}")
        return replace(self, signatures=tuple(dict.fromkeys((*self.signatures, signature))))

    @property
    def path(self) -> str:
        """The store path."""
        return f"{STORE_DIR}/{self.name}"

    def narinfo(self, url: str) -> str:
        """Return the text that a binary cache has of it.

        Args:
            url: of its Nix archive, relative to the cache.
        """
        lines = {
            "StorePath": self.path,
            "URL": url,
            "Compression": "none",
            "NarHash": f"sha256:{self.sha256}",
            "NarSize": self.size,
            "References": " ".join(self.references),
            **({"CA": self.content} if self.content else {}),
        }
        said = [f"{key}: {value}\n" for key, value in lines.items()]
        return "".join([*said, *(f"Sig: {one}\n" for one in self.signatures)])


def _all(pattern: re.Pattern[str], values: object) -> tuple[str, ...]:
    """Return texts.

    Raises:
        ValueError: one is not as it should be.
        TypeError: they are no texts.
    """
    found = tuple(map(text_of, list_of(values)))
    if odd := [one for one in found if not pattern.fullmatch(one)]:
        raise ValueError(f"{odd[0]!r} is not what belongs there")
    return found


def described(nix: Nix, store_paths: Sequence[str]) -> list[StoreObject]:
    """Return what is said of store paths and of all that they refer to.

    Raises:
        NixError: the store does not hold one of them, or Nix answers something else.
    """
    paths = nix.closure(store_paths) if store_paths else []
    if not paths:
        return []
    registered = _said(nix, nix.command("nix-store", "--dump-db", *paths))
    signed = _said(nix, nix.subcommand("path-info", "--sigs", *paths))
    return read(registered, signed)


def read(registered: str, signed: str) -> list[StoreObject]:
    """Read what Nix says of store paths.

    Args:
        registered: by ``nix-store --dump-db``: lines with the path, SHA-256, size and deriver of each, the
            number of its references, and these.
        signed: by ``nix path-info --sigs``: a line for each, with the path, and words.

    Raises:
        UnexpectedAnswerError: it is something else.
    """
    words = {fields[0]: fields[1:] for line in signed.splitlines() if (fields := line.split())}
    try:
        return list(_read(registered.splitlines(), words))
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise UnexpectedAnswerError(error) from error


def _read(lines: Sequence[str], words: Mapping[str, Sequence[str]]) -> Iterator[StoreObject]:
    at = 0
    while at < len(lines):
        path, sha256, size, _, count = lines[at : at + 5]
        start, at = at + 5, at + 5 + size_of(int(count))
        if at > len(lines):
            raise ValueError(f"{path} lacks references")
        contents = [one for one in words[path] if one.startswith(_CONTENT)]
        said = {
            "sha256": sha256,
            "size": int(size),
            "references": [_name(one) for one in lines[start:at]],
            "signatures": [one for one in words[path] if ":" in one and not one.startswith(_CONTENT)],
            "content": "".join(contents).removeprefix(_CONTENT),
        }
        yield StoreObject.parse(_name(path), said)


def _name(path: str) -> str:
    return path.removeprefix(f"{STORE_DIR}/")


def offer(objects: Collection[StoreObject], folder: Path, files: str) -> str:
    """Make a folder a binary cache; return its URL.

    Args:
        objects: what it says that it has.
        folder: where.
        files: folder in it of Nix archives by their hashes (:class:`cog_nix.fetch.store.Store`).
    """
    (folder / "nix-cache-info").write_text(f"StoreDir: {STORE_DIR}\n", encoding="ascii")
    for one in objects:
        told = one.narinfo(f"{files}/{one.sha256[:2]}/{one.sha256}")
        (folder / f"{one.name.partition('-')[0]}.narinfo").write_text(told, encoding="ascii")
    return f"file://{folder}"


def unsigned(nix: Nix, url: str, store_paths: Sequence[str]) -> set[str]:
    """Return names of those store paths of a binary cache that nobody has signed who is trusted.

    What goes by its content needs no signature.

    Raises:
        NixError: the cache cannot be read.
    """
    checks = ["--no-contents", *_keys(nix), *store_paths]
    finished = run(nix.subcommand("store", "verify", *checks, store=url), check=False)
    found = set(_UNTRUSTED.findall(finished.stderr))
    if finished.returncode and not found:
        raise explain(finished.stderr)
    return found


def take(nix: Nix, url: str, store_paths: Sequence[str], reporter: Reporter, *, trusted: bool) -> None:
    """Copy store paths, with all that they refer to, from a binary cache; tell why one does not come.

    Args:
        nix: whose store gets them.
        url: of the cache.
        store_paths: which.
        reporter: shows what comes.
        trusted: whether signatures do not matter.
    """
    options = ["--from", url, "--to", nix.url, *_keys(nix), *(["--no-check-sigs"] if trusted else [])]
    command = nix.subcommand("copy", *options, "--log-format", "internal-json", "-v", *store_paths)
    with events.watch_copies(reporter, f"Taking {len(store_paths)} store paths from the archive") as log:
        finished = run(command, check=False, on_stderr=log.feed)
    if finished.returncode:
        reporter.warn(f"Nix does not take this from the archive, and builds it: {log.errors()}")


def _keys(nix: Nix) -> list[str]:
    """Return Nix's options for keys that count besides those of its configuration."""
    keys = " ".join(nix.caches.trusted_public_keys)
    return ["--option", "extra-trusted-public-keys", keys] if keys else []


def _said(nix: Nix, command: Sequence[str]) -> str:
    finished = run(command, env=nix.environment(), check=False)
    if finished.returncode:
        raise explain(finished.stderr)
    return finished.stdout
