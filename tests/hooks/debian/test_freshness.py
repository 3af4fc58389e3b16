"""Archives without TLS: what is missing, old or put back is noticed."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import LockError
from cog_nix.plugins.spec import SystemRequest
from cog_nix_hooks import debian
from cog_nix_hooks.debian import newest

from .test_plugin import resolve

if TYPE_CHECKING:
    from cog_nix.plugins.spec import Context

    from .conftest import TinyArchive
    from .test_plugin import ContextFor

OLD, NEW = "Package: libc6\nVersion: 2.0", "Package: libc6\nVersion: 2.1"


@pytest.mark.parametrize("missing", ["updates", "security"])
def test_a_mirror_without_updates_is_refused(
    archive: TinyArchive, context_for: ContextFor, missing: str
) -> None:
    """Without TLS anybody on the way can say 404."""
    archive.add_all(OLD)
    folder = archive.root / ("debian-security" if missing == "security" else "debian")
    (folder / f"dists/trixie-{missing}/InRelease").unlink()
    left = "updates" if missing == "security" else "security"
    with pytest.raises(LockError, match=f"has no trixie-{missing}, which has the") as caught:
        resolve(context_for(archive.url), ("seed", ("libc6",)))
    assert f'additions = ["{left}"]' in caught.value.hint
    context = context_for(archive.url, additions=(left,))
    assert len(resolve(context, ("seed", ("libc6",))).indexes) == 2
    warned = [text for text in context.reporter.warnings if "security" in text]  # type: ignore[attr-defined]
    assert bool(warned) is (missing == "security"), "each time, for it is easily forgotten"


def test_sid_has_nothing_on_top(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add("sid", OLD)
    request = SystemRequest("sid", (("seed", ("libc6",)),))
    resolution = debian.resolve_system_packages(request, context_for(archive.url))
    assert resolution
    assert [index.suite for index in resolution.indexes] == ["sid"]


def _version(context: Context) -> str:
    return resolve(context, ("seed", ("libc6",))).groups["seed"][0].version


def test_an_older_release_is_passed_over(archive: TinyArchive, context_for: ContextFor) -> None:
    """A file of yesterday has a good signature: it must not bring yesterday's packages back."""
    now = datetime.now(UTC)
    old = archive.add("trixie", OLD, date=now - timedelta(days=2)).read_bytes()
    assert _version(context_for(archive.url, additions=())) == "2.0"
    release = archive.add("trixie", NEW, date=now - timedelta(days=1))
    assert _version(context_for(archive.url, additions=())) == "2.1"
    release.write_bytes(old)
    context = context_for(archive.url, additions=())
    assert _version(context) == "2.1"
    assert any("seen here before" in text for text in context.reporter.infos)  # type: ignore[attr-defined]


def test_an_older_release_without_the_newer_index_is_an_error(
    archive: TinyArchive, context_for: ContextFor
) -> None:
    now = datetime.now(UTC)
    release = archive.add("trixie", NEW, date=now - timedelta(days=1))
    assert _version(context_for(archive.url, additions=())) == "2.1"
    shutil.rmtree(release.parent)
    archive.add("trixie", OLD, date=now - timedelta(days=2))
    with pytest.raises(LockError, match="someone keeps updates back") as caught:
        _version(context_for(archive.url, additions=()))
    path = Path(caught.value.hint.rpartition("remove ")[2])
    path.unlink()
    assert _version(context_for(archive.url, additions=())) == "2.0"


def test_what_was_seen_and_is_damaged_does_not_count(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add("trixie", OLD)
    context = context_for(archive.url, additions=())
    path = newest.place(f"{archive.url}/dists/trixie/InRelease", context.cache_dir)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    assert _version(context) == "2.0"
    assert path.read_bytes() != b"damaged"


def test_an_expired_release_is_for_snapshots(archive: TinyArchive, context_for: ContextFor) -> None:
    archive.add("trixie", OLD, date=datetime.now(UTC) - timedelta(days=80))
    with pytest.raises(LockError, match="expired on") as caught:
        _version(context_for(archive.url, additions=()))
    assert "check_valid_until = false" in caught.value.hint
    assert _version(context_for(archive.url, additions=(), check_valid_until=False)) == "2.0"
