"""Keys that sign."""

from __future__ import annotations

import base64
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import ConfigError, FlagError
from cog_nix.system.files import UnwritableError
from cog_nix.system.keys import KeyFileError, PublicKeys, SecretKey

if TYPE_CHECKING:
    from pathlib import Path

# RFC 8032, section 7.1, test 2: the message is the byte 0x72, "r".
_SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
_PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def secret(tmp_path: Path) -> SecretKey:
    file = tmp_path / "key"
    file.write_text(f"ci-1:{_text(_SEED + _PUBLIC)}\n")
    return SecretKey.read(file)


def test_a_signature_is_that_of_the_standard(secret: SecretKey) -> None:
    assert secret.sign("r") == f"ci-1:{_text(_SIGNATURE)}"
    assert "4ccd" not in repr(secret)
    assert str(_SEED) not in repr(secret)


def test_only_trusted_keys_count(secret: SecretKey) -> None:
    trusted = PublicKeys((f"other:{_text(_SEED)}", f"ci-1:{_text(_PUBLIC)}"))
    signature = secret.sign("r")
    assert trusted.have_signed("r", ["", "ci-1", "ci-1:?", f"ci-1:{_text(b'x')}", signature])
    assert not trusted.have_signed("s", [signature])
    assert not trusted.have_signed("r", [])
    assert not trusted.have_signed("r", [signature.replace("ci-1:", "other:")])
    assert not PublicKeys((f"ci-1:{_text(b'short')}",)).have_signed("r", [signature])
    assert not PublicKeys()


@pytest.mark.parametrize("text", ["", "ci-1", "ci-1:", "ci-1:====", "ci-1:AAAA", "é:AAAA", ":AAAA"])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        SecretKey.read(tmp_path / "key")
    assert "is not a secret key" in error.value.message
    assert "cog-nix cache key" in error.value.hint
    assert "AAAA" not in str(error.value)


def test_a_key_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        SecretKey.read(tmp_path / "key")


@pytest.mark.nix
def test_nixs_keys_are_read(tmp_path: Path) -> None:
    secret, public = tmp_path / "secret", tmp_path / "public"
    subprocess.run(["nix-store", "--generate-binary-cache-key", "a-1", secret, public], check=True)
    key = SecretKey.read(secret)
    assert PublicKeys((public.read_text().strip(),)).have_signed("text", [key.sign("text")])


def test_a_new_key_signs_and_is_this_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys/ci"
    public = SecretKey.make("ci-1", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PublicKeys((public,)).have_signed("r", [SecretKey.read(file).sign("r")])
    with pytest.raises(KeyFileError, match="is there already"):
        SecretKey.make("ci-1", file)
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableError):
        SecretKey.make("ci-1", tmp_path / "file/key")


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a\n"])
def test_what_is_no_name_of_a_key_makes_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(FlagError, match="neither colons nor white space"):
        SecretKey.make(name, tmp_path / "key")
    assert not list(tmp_path.iterdir())


@pytest.mark.nix
def test_nix_reads_a_new_key(tmp_path: Path) -> None:
    public = SecretKey.make("ci-1", tmp_path / "key")
    command = ["nix", "--extra-experimental-features", "nix-command", "key", "convert-secret-to-public"]
    with (tmp_path / "key").open("rb") as secret:
        said = subprocess.run(command, stdin=secret, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == public
