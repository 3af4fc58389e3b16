from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pysequoia
import pytest

from cog_nix.errors import LockError
from cog_nix_hooks.debian import release as release_file
from cog_nix_hooks.debian.release import find_keyring, read_release

if TYPE_CHECKING:
    from pathlib import Path

    from cog_nix_hooks.debian.release import Release

    from .conftest import TinyArchive

URL = "http://127.0.0.1/debian/dists/trixie/InRelease"
PACKAGE = "Package: a"


def read(archive: TinyArchive, data: bytes, *, asked: str = "trixie", now: datetime | None = None) -> Release:
    return read_release(data, url=URL, asked=asked, keyring=archive.keyring, now=now)


def test_a_signed_release_is_read(archive: TinyArchive) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    data = archive.add("trixie", PACKAGE, date=moment).read_bytes()
    release = read(archive, data, now=moment)
    assert (release.codename, release.suite, release.date, release.by_hash) == (
        "trixie",
        "stable",
        moment,
        True,
    )
    assert release.valid_until == moment + timedelta(days=7)
    found = release.packages("main", "amd64")
    assert found is not None
    assert found.path == "main/binary-amd64/Packages.xz"
    assert release.packages("contrib", "amd64") is None


def test_a_suite_may_be_asked_for_by_its_alias(archive: TinyArchive) -> None:
    assert read(archive, archive.add("trixie", PACKAGE).read_bytes(), asked="stable").codename == "trixie"


def test_only_what_is_signed_is_believed(archive: TinyArchive) -> None:
    data = archive.add("trixie", PACKAGE).read_bytes()
    smuggled = b"Codename: forky\nAcquire-By-Hash: no\n" + data + b"\nCodename: forky\n"
    assert read(archive, smuggled).codename == "trixie"


def test_a_changed_release_is_refused(archive: TinyArchive) -> None:
    data = archive.add("trixie", PACKAGE).read_bytes().replace(b"Origin: Debian", b"Origin: Mallory")
    with pytest.raises(LockError, match="no valid signature") as caught:
        read(archive, data)
    assert URL in caught.value.message
    assert "stack" not in caught.value.message.lower()


def test_a_strangers_signature_is_refused(archive: TinyArchive) -> None:
    stranger = pysequoia.Tsk.generate("Mallory <mallory@example.org>")
    data = archive.add("trixie", PACKAGE, key=stranger).read_bytes()
    with pytest.raises(LockError, match="no valid signature") as caught:
        read(archive, data)
    assert "debian-archive-keyring" in caught.value.hint


@pytest.mark.parametrize(
    "data", [b"", b"<html>Please log in</html>", b"Codename: trixie\n"], ids=["empty", "html", "bare"]
)
def test_what_is_not_signed_is_refused(archive: TinyArchive, data: bytes) -> None:
    with pytest.raises(LockError, match="no valid signature"):
        read(archive, data)


def test_another_suite_is_refused(archive: TinyArchive) -> None:
    data = archive.add("trixie", PACKAGE, codename="bookworm").read_bytes()
    with pytest.raises(LockError, match="is the Release file of bookworm, not of trixie"):
        read(archive, data)


def test_an_expired_release_is_refused(archive: TinyArchive) -> None:
    data = archive.add("trixie", PACKAGE).read_bytes()
    with pytest.raises(LockError, match="expired on") as caught:
        read(archive, data, now=datetime.now(UTC) + timedelta(days=8))
    assert "COG_NIX_DEBIAN_MIRROR" in caught.value.hint


def test_a_release_without_an_end_does_not_expire(archive: TinyArchive) -> None:
    data = archive.add("trixie", PACKAGE, valid_for=timedelta(0)).read_bytes()
    assert read(archive, data, now=datetime.now(UTC) + timedelta(days=800)).valid_until is None


def test_a_release_of_the_future_tells_of_the_clock(archive: TinyArchive) -> None:
    data = archive.add("trixie", PACKAGE).read_bytes()
    with pytest.raises(LockError, match="has not come yet"):
        read(archive, data, now=datetime(2001, 1, 1, tzinfo=UTC))


def test_a_signed_file_that_is_no_release_is_refused(archive: TinyArchive) -> None:
    data = pysequoia.sign(archive.key.signer(), b"Codename: trixie\n", mode=pysequoia.SignatureMode.CLEAR)
    with pytest.raises(LockError, match="cannot be read"):
        read(archive, data)


def test_the_keyring_of_the_machine_is_found(tmp_path: Path) -> None:
    second = tmp_path / "b.pgp"
    second.touch()
    assert find_keyring({}, [tmp_path / "a.gpg", second]) == second


def test_a_machine_without_a_keyring_has_the_one_that_comes_along(tmp_path: Path) -> None:
    found = find_keyring({}, [tmp_path / "a.gpg"])
    assert found == release_file.SHIPPED
    names = [str(uid) for cert in pysequoia.Cert.split_bytes(found.read_bytes()) for uid in cert.user_ids]
    for codename in ("bookworm", "trixie"):
        for kind in ("Archive Automatic", "Security Archive Automatic"):
            assert any(f"Debian {kind}" in name and codename in name for name in names)


def test_an_old_systems_keyring_is_completed(
    archive: TinyArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = archive.add("trixie", PACKAGE).read_bytes()
    old = tmp_path / "old.gpg"
    old.write_bytes(release_file.SHIPPED.read_bytes())
    monkeypatch.setattr(release_file, "SHIPPED", archive.keyring)
    with pytest.raises(LockError, match="no valid signature by a key in"):
        read_release(data, url="x", asked="trixie", keyring=old)
    monkeypatch.setattr(release_file, "_KEYRINGS", (old,))
    assert read_release(data, url="x", asked="trixie", keyring=old).codename == "trixie"


def test_a_wrong_keyring_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(LockError, match=r"COG_NIX_DEBIAN_KEYRING names a file that is not there: .*nowhere"):
        find_keyring({"COG_NIX_DEBIAN_KEYRING": str(tmp_path / "nowhere")})


def test_a_file_that_is_no_keyring_is_named(archive: TinyArchive, tmp_path: Path) -> None:
    junk = tmp_path / "junk.gpg"
    junk.write_bytes(b"junk")
    data = archive.add("trixie", PACKAGE).read_bytes()
    with pytest.raises(LockError, match=r"junk\.gpg"):
        read_release(data, url=URL, asked="trixie", keyring=junk)
