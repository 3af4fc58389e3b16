"""What cosign is asked, and what its refusal says. A program that writes down its arguments stands for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from cog_nix.registry import cosign
from cog_nix.registry.reference import Reference
from cog_nix.report import SilentReporter

if TYPE_CHECKING:
    from pathlib import Path

_IMAGE = f"127.0.0.1:5000/me/model@sha256:{'1' * 64}"
_HERE = Reference.parse("127.0.0.1:5000/me/model:1")


_SAID = "WARNING: Skipping it is an insecure practice.\nError: {0}\nerror during command execution: {0}\n"
"""How cosign 3.1.3 ends."""
_THRESHOLD = "failed to verify signature: accepted signatures do not match threshold"
_OTHER_KEY = _SAID.format(f"no matching attestations: {_THRESHOLD}\n{_THRESHOLD}\n{_THRESHOLD}")
_NO_KEY = _SAID.format(
    "loading verifier from key opts: loading public key: open me.pub: no such file or directory"
)
_NO_NETWORK = _SAID.format("getting trusted root from TUF: dial tcp: lookup tuf.example.org: no such host")
_PASSWORD = _SAID.format("signing: getting signer: reading key: decrypt: encrypted: decryption failed")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cosign"
    log = tmp_path / "log"
    path.write_text(
        "#!/bin/sh\n"
        f'[ "$2" = --help ] && echo "  --use-signing-config" && exit\n'
        f'echo "$@" >> {log}\n'
        f"[ ! -e {tmp_path}/refuses ] || {{ cat {tmp_path}/refuses >&2; exit 1; }}\n"
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return log


def test_a_key_signs_without_a_log(program: Path) -> None:
    cosign.sign(_IMAGE, _HERE, "me.key", SilentReporter())
    said = program.read_text().split()
    assert said[0] == "sign"
    assert {"--key", "me.key", "--tlog-upload=false", "--use-signing-config=false"} <= set(said)
    assert "--allow-http-registry" in said
    assert said[-1] == _IMAGE


def test_without_a_key_cosign_decides(program: Path) -> None:
    cosign.sign(
        _IMAGE.replace("127.0.0.1:5000", "r.example.org"),
        Reference.parse("r.example.org/me/model"),
        "",
        SilentReporter(),
    )
    said = program.read_text().split()
    assert not {"--key", "--tlog-upload=false", "--allow-http-registry"} & set(said)


def test_a_missing_signature_is_told(program: Path) -> None:
    (program.parent / "refuses").write_text(_OTHER_KEY)
    with pytest.raises(cosign.NotSignedError, match=r"no signature by me\.pub that holds") as caught:
        cosign.check(_IMAGE, _HERE, cosign.Identity(key="me.pub"))
    assert str(caught.value).splitlines()[1:] == [
        "  no matching attestations: failed to verify signature: accepted signatures do not match threshold",
        "  failed to verify signature: accepted signatures do not match threshold",
    ]
    assert "--insecure-ignore-tlog=true" in program.read_text()


@pytest.mark.parametrize(
    ("said", "reason", "hint"),
    [(_NO_KEY, "no such file", "Check the key"), (_NO_NETWORK, "no such host", "cosign initialize")],
    ids=["key", "network"],
)
def test_what_cannot_be_checked_is_not_called_unsigned(
    program: Path, said: str, reason: str, hint: str
) -> None:
    (program.parent / "refuses").write_text(said)
    with pytest.raises(cosign.CosignFailedError, match="cannot be checked for a signature") as caught:
        cosign.check(_IMAGE, _HERE, cosign.Identity(key="me.pub"))
    assert reason in str(caught.value)
    assert hint in caught.value.hint


def test_a_wrong_password_is_told(program: Path) -> None:
    (program.parent / "refuses").write_text(_PASSWORD)
    with pytest.raises(cosign.CosignFailedError, match="cannot be signed") as caught:
        cosign.sign(_IMAGE, _HERE, "me.key", SilentReporter())
    assert "COSIGN_PASSWORD" in caught.value.hint


def test_where_to_log_in_is_passed_on(program: Path) -> None:
    class Told(SilentReporter):
        lines: ClassVar[list[str]] = []

        def info(self, text: str) -> None:
            self.lines.append(text)

    (program.parent / "refuses").write_text("Go to https://id.example.org\n")
    with pytest.raises(cosign.CosignFailedError):
        cosign.sign(_IMAGE, _HERE, "", Told())
    assert Told.lines == ["Go to https://id.example.org"]


def test_an_identity_is_asked_for_with_its_provider(program: Path) -> None:
    by = cosign.Identity(name="me@example.org", issuer="https://id.example.org")
    cosign.check(_IMAGE, _HERE, by)
    said = program.read_text()
    assert "--certificate-identity me@example.org --certificate-oidc-issuer https://id.example.org" in said
    assert "ignore-tlog" not in said


def test_no_cosign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(cosign.NoCosignError, match="is not installed"):
        cosign.sign(_IMAGE, _HERE, "", SilentReporter())
