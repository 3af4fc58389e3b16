"""Signed Release files (InRelease): read, verified, checked to be what was asked for.

The format is Debian's "repository format"; apt-secure(8) tells what the signature is good for.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pysequoia

from .errors import GET_KEYRING, TRY_ANOTHER, KeyringError, ReleaseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KEYRING_VARIABLE = "COG_NIX_DEBIAN_KEYRING"
_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
SHIPPED = Path(__file__).with_name("archive-keys.pgp")
"""The same file of the package debian-archive-keyring 2025.1: the keys of Debian 11, 12 and 13."""
_CLOCK_TOLERANCE = timedelta(days=1)
_FIELD = re.compile(r"^([^\s:]+):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)


@dataclass(frozen=True)
class IndexFile:
    """A file that a Release file vouches for."""

    path: str
    """Relative to the Release file."""
    sha256: str
    size: int


@dataclass(frozen=True)
class Release:
    """What a verified Release file says."""

    suite: str
    codename: str
    date: datetime
    valid_until: datetime | None
    by_hash: bool
    files: Mapping[str, IndexFile]

    def packages(self, component: str, architecture: str) -> IndexFile | None:
        """Return the smallest Packages file of a component, or None when there is none."""
        base = f"{component}/binary-{architecture}/Packages"
        return next(
            (self.files[name] for name in (f"{base}.xz", f"{base}.gz", base) if name in self.files), None
        )


def find_keyring(environment: Mapping[str, str], keyrings: Sequence[Path] = _KEYRINGS) -> Path:
    """Find the file with Debian's archive keys: a named one, this machine's, or the one that comes along.

    Raises:
        KeyringError: the one that is named is not there.
    """
    if chosen := environment.get(KEYRING_VARIABLE):
        if not Path(chosen).is_file():
            raise KeyringError(KEYRING_VARIABLE, f"names a file that is not there: {chosen}")
        return Path(chosen)
    return next((keyring for keyring in keyrings if keyring.is_file()), SHIPPED)


def read_release(
    data: bytes,
    *,
    url: str,
    asked: str,
    keyring: Path,
    now: datetime | None = None,
    check_valid_until: bool = True,
) -> Release:
    """Verify an InRelease file and parse what was signed.

    Args:
        data: the file.
        url: where it came from, for messages.
        asked: the suite that was asked for (``trixie-updates``); must be its Suite or Codename.
        keyring: the keys to trust.
        now: the time to judge validity at.
        check_valid_until: whether Valid-Until counts; a snapshot's is over.

    Raises:
        ReleaseError: no key of the keyring signed it, it is for another suite, or it is out of date.
        KeyringError: the keyring cannot be read.
    """
    fields = dict(_FIELD.findall(_verified(data, url, keyring).decode("utf-8", "replace")))
    try:
        release = _parse(fields)
    except (KeyError, ValueError, TypeError, OverflowError, IndexError) as error:
        raise ReleaseError(url, f"is a Release file that cannot be read: {error}") from error
    if asked not in (release.suite, release.codename):
        other = release.codename or release.suite
        raise ReleaseError(url, f"is the Release file of {other}, not of {asked}.")
    _check_time(release, url, now or datetime.now(UTC), check_valid_until=check_valid_until)
    return release


def _verified(data: bytes, url: str, keyring: Path) -> bytes:
    """Return what the signature covers, and nothing that stands around it."""
    try:
        certificates = _certificates(keyring.read_bytes())
        if keyring in _KEYRINGS:  # an old system's lacks the keys of a newer Debian
            certificates = [*certificates, *_certificates(SHIPPED.read_bytes())]
    except (OSError, RuntimeError) as error:
        raise KeyringError(keyring, f"is not a keyring: {_first_line(error)}") from error

    def trusted(_key_ids: Sequence[str]) -> list[Any]:
        return certificates

    try:
        verified = pysequoia.verify(bytes=data, store=trusted)
    except RuntimeError as error:
        raise ReleaseError(
            url,
            f"has no valid signature by a key in {keyring}: {_first_line(error)}",
            hint=f"If the mirror is genuine, the keyring may be too old. {GET_KEYRING}",
        ) from error
    if not verified.valid_sigs or verified.bytes is None:
        raise ReleaseError(url, f"has no valid signature by a key in {keyring}", hint=GET_KEYRING)
    return bytes(verified.bytes)


@functools.cache
def _certificates(keyring: bytes) -> list[Any]:
    """Return the keys of a keyring; that takes 10 ms, and one locking asks several times."""
    return pysequoia.Cert.split_bytes(keyring)


def _first_line(error: Exception) -> str:
    # What follows is a Rust backtrace.
    return str(error).partition("\n")[0].rstrip(".:")


def _parse(fields: Mapping[str, str]) -> Release:
    files = {}
    for line in fields["SHA256"].splitlines():
        if line.strip():
            sha256, size, path = line.split()
            files[path] = IndexFile(path, sha256.lower(), int(size))
    until = fields.get("Valid-Until")
    return Release(
        suite=fields.get("Suite", "").strip(),
        codename=fields.get("Codename", "").strip(),
        date=_moment(fields["Date"]),
        valid_until=_moment(until) if until else None,
        by_hash=fields.get("Acquire-By-Hash", "").strip() == "yes",
        files=files,
    )


def _moment(text: str) -> datetime:
    """Parse ``Sat, 12 Sep 2026 07:55:41 UTC``; the format allows UTC alone."""
    moment = parsedate_to_datetime(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _check_time(release: Release, url: str, now: datetime, *, check_valid_until: bool) -> None:
    if check_valid_until and release.valid_until and release.valid_until < now:
        raise ReleaseError(
            url,
            f"expired on {release.valid_until:%Y-%m-%d %H:%M} UTC: the mirror is behind, or someone "
            "keeps updates back.",
            hint=f"Check this machine's clock ({now:%Y-%m-%d %H:%M} UTC), then: {TRY_ANOTHER} "
            "For a snapshot, which stays as it was, set check_valid_until = false there.",
        )
    if release.date > now + _CLOCK_TOLERANCE:
        raise ReleaseError(
            url,
            f"is dated {release.date:%Y-%m-%d %H:%M} UTC, which has not come yet.",
            hint=f"Set this machine's clock; it says {now:%Y-%m-%d %H:%M} UTC.",
        )
