"""What cosign is asked, and what its refusal says. A program that writes down its arguments stands for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cog_nix.cli import verify
from cog_nix.errors import FlagError
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
_TOKEN = _SAID.format(
    'signing bundle: Fulcio returned 400: {"message":"There was an error processing the identity token"}'
)
_NO_ROOT = _SAID.format("loading trusted root: failed to read trusted root open root.json: no such file")
_FLAG = _SAID.format("unknown flag: --signing-config")
_OTHER_ROOT = _SAID.format("no matching attestations: failed to verify leaf certificate")
_ANYONE = cosign.Identity(name="me@example.org", issuer="https://id.example.org")
_SIGNATURE = "https://sigstore.dev/cosign/sign/v1"


def _answer(*kinds: str) -> str:
    """What ``cosign verify`` 3.1.3 writes."""
    return "\n" + json.dumps([{"critical": {"type": kind}, "optional": {}} for kind in kinds]) + "\n"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cosign"
    log = tmp_path / "log"
    path.write_text(
        "#!/bin/sh\n"
        f'[ "$2" = --help ] && echo "  --use-signing-config" && exit\n'
        f'echo "$@" >> {log}\n'
        f'echo "config: $COSIGN_SIGNING_CONFIG" >> {tmp_path}/environment\n'
        f"[ ! -e {tmp_path}/refuses ] || {{ cat {tmp_path}/refuses >&2; exit 1; }}\n"
        f"cat {tmp_path}/answer\n"
    )
    (tmp_path / "answer").write_text(_answer("https://spdx.dev/Document", _SIGNATURE))
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("COSIGN_SIGNING_CONFIG", "COSIGN_TRUSTED_ROOT", *cosign._TOKENS):
        monkeypatch.delenv(name, raising=False)
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


class _Told(SilentReporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(text)


def test_where_to_log_in_is_passed_on(program: Path) -> None:
    """cosign writes it to stdout."""
    (program.parent / "answer").write_text("Enter the code AB in your browser at: https://id.example.org\n")
    told = _Told()
    cosign.sign(_IMAGE, _HERE, "", told)
    assert told.lines == ["Enter the code AB in your browser at: https://id.example.org"]


def test_failures_are_told_once(program: Path) -> None:
    (program.parent / "refuses").write_text(_SAID.format("it expired"))
    told = _Told()
    with pytest.raises(cosign.CosignFailedError, match="it expired"):
        cosign.sign(_IMAGE, _HERE, "", told)
    assert told.lines == ["WARNING: Skipping it is an insecure practice."]


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (_TOKEN, "new token"),
        (_NO_ROOT, "COSIGN_SIGNING_CONFIG and COSIGN_TRUSTED_ROOT"),
        (_FLAG, "newer cosign"),
        (_NO_NETWORK, "can be reached"),
    ],
    ids=["token", "root", "old", "network"],
)
def test_without_a_key_advice_is_not_of_keys(program: Path, said: str, hint: str) -> None:
    (program.parent / "refuses").write_text(said)
    with pytest.raises(cosign.CosignFailedError) as caught:
        cosign.sign(_IMAGE, _HERE, "", SilentReporter())
    assert hint in caught.value.hint
    assert "Check the key" not in caught.value.hint


def test_a_token_is_in_no_argument_and_no_message(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSIGN_IDENTITY_TOKEN", "half-a-token")
    (program.parent / "refuses").write_text(_SAID.format("open half-a-token: no such file or directory"))
    told = _Told()
    with pytest.raises(cosign.CosignFailedError, match=r"open \*\*\*: no such file") as caught:
        cosign.sign(_IMAGE, _HERE, "", told)
    assert "half-a-token" not in f"{caught.value.shown()}{told.lines}{program.read_text()}"


def test_the_file_of_a_token_is_named(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSIGN_IDENTITY_TOKEN", "/run/token")
    (program.parent / "refuses").write_text(_SAID.format("open /run/token: no such file or directory"))
    with pytest.raises(cosign.CosignFailedError, match="open /run/token: no such file"):
        cosign.sign(_IMAGE, _HERE, "", SilentReporter())


def test_services_of_ones_own_are_flags_which_an_old_cosign_refuses(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSIGN_SIGNING_CONFIG", "mine.json")
    monkeypatch.setenv("COSIGN_TRUSTED_ROOT", "root.json")
    cosign.sign(_IMAGE, _HERE, "", SilentReporter())
    cosign.check(_IMAGE, _HERE, _ANYONE)
    signed, checked = program.read_text().splitlines()
    assert "--signing-config=mine.json --trusted-root=root.json" in signed
    assert "--trusted-root=root.json" in checked
    assert "--signing-config" not in checked


def test_a_key_needs_no_services(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cosign refuses ``--use-signing-config=false`` where the variable names another configuration."""
    monkeypatch.setenv("COSIGN_SIGNING_CONFIG", "mine.json")
    cosign.sign(_IMAGE, _HERE, "me.key", SilentReporter())
    assert "--signing-config" not in program.read_text()
    assert (program.parent / "environment").read_text() == "config: \n"


def test_an_identity_is_asked_for_with_its_provider(program: Path) -> None:
    cosign.check(_IMAGE, _HERE, _ANYONE)
    said = program.read_text()
    assert "--certificate-identity me@example.org --certificate-oidc-issuer https://id.example.org" in said
    assert "ignore-tlog" not in said


def test_a_pattern_is_one_of_the_whole_identity(program: Path) -> None:
    by = cosign.Identity(pattern="me@.*|you", issuer="https://id.example.org")
    cosign.check(_IMAGE, _HERE, by)
    said = program.read_text()
    assert "--certificate-identity-regexp ^(?:me@.*|you)$ --certificate-oidc-issuer" in said
    assert "--certificate-identity " not in said
    assert str(by) == "me@.*|you (https://id.example.org)"


@pytest.mark.parametrize(
    ("given", "signer"),
    [
        ({}, None),
        ({"key": "me.pub"}, cosign.Identity("me.pub")),
        ({"identity": "me", "issuer": "it"}, cosign.Identity("", "me", "", "it")),
        ({"identity_regexp": "m.", "issuer": "it"}, cosign.Identity("", "", "m.", "it")),
    ],
)
def test_who_has_to_have_signed(given: dict[str, str], signer: cosign.Identity | None) -> None:
    assert verify._Options(**given).signer == signer  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        {"issuer": "it"},
        {"identity": "me"},
        {"identity_regexp": "m."},
        {"identity": "me", "identity_regexp": "m.", "issuer": "it"},
        {"key": "me.pub", "issuer": "it"},
        {"key": "me.pub", "identity": "me", "issuer": "it"},
    ],
)
def test_who_signed_is_said_in_one_way(given: dict[str, str]) -> None:
    with pytest.raises(FlagError, match="--identity-regexp with --issuer, or by --key alone"):
        _ = verify._Options(**given).signer  # type: ignore[arg-type]


def test_a_signed_statement_is_no_signature(program: Path) -> None:
    """cosign 3 verifies an image of which somebody has signed that its tests failed."""
    (program.parent / "answer").write_text(_answer("https://in-toto.io/attestation/test-result/v0.1"))
    with pytest.raises(cosign.NotSignedError, match=r"statements about it: https://in-toto\.io"):
        cosign.check(_IMAGE, _HERE, _ANYONE)


def test_a_signature_from_before_bundles_is_one(program: Path) -> None:
    (program.parent / "answer").write_text(_answer("cosign container image signature"))
    cosign.check(_IMAGE, _HERE, _ANYONE)


@pytest.mark.parametrize("answer", ["", "[1]", '[{"critical": {"type": ["a"]}}]', "[" * 9999])
def test_an_answer_that_cannot_be_read_is_no_signature(program: Path, answer: str) -> None:
    (program.parent / "answer").write_text(answer)
    with pytest.raises(cosign.NotSignedError, match="nothing that can be read"):
        cosign.check(_IMAGE, _HERE, _ANYONE)


def test_another_root_is_asked_about(program: Path) -> None:
    (program.parent / "refuses").write_text(_OTHER_ROOT)
    with pytest.raises(cosign.NotSignedError) as caught:
        cosign.check(_IMAGE, _HERE, _ANYONE)
    assert "COSIGN_TRUSTED_ROOT" in caught.value.hint


def test_no_cosign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(cosign.NoCosignError, match="is not installed"):
        cosign.sign(_IMAGE, _HERE, "", SilentReporter())
