"""What cosign is asked, and what its refusal says. A program that writes down its arguments stands for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.registry import cosign
from cog_nix.registry.reference import Reference

if TYPE_CHECKING:
    from pathlib import Path

_IMAGE = f"127.0.0.1:5000/me/model@sha256:{'1' * 64}"
_HERE = Reference.parse("127.0.0.1:5000/me/model:1")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cosign"
    log = tmp_path / "log"
    path.write_text(
        "#!/bin/sh\n"
        f'[ "$2" = --help ] && echo "  --use-signing-config" && exit\n'
        f'echo "$@" >> {log}\n'
        f'[ ! -e {tmp_path}/refuses ] || {{ echo "no matching signatures" >&2; exit 1; }}\n'
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return log


def test_a_key_signs_without_a_log(program: Path) -> None:
    cosign.sign(_IMAGE, _HERE, "me.key")
    said = program.read_text().split()
    assert said[0] == "sign"
    assert {"--key", "me.key", "--tlog-upload=false", "--use-signing-config=false"} <= set(said)
    assert "--allow-http-registry" in said
    assert said[-1] == _IMAGE


def test_without_a_key_cosign_decides(program: Path) -> None:
    cosign.sign(
        _IMAGE.replace("127.0.0.1:5000", "r.example.org"), Reference.parse("r.example.org/me/model"), ""
    )
    said = program.read_text().split()
    assert not {"--key", "--tlog-upload=false", "--allow-http-registry"} & set(said)


def test_a_missing_signature_is_told(program: Path) -> None:
    (program.parent / "refuses").touch()
    with pytest.raises(cosign.NotSignedError, match=r"no signature by me\.pub that holds") as caught:
        cosign.check(_IMAGE, _HERE, cosign.Identity(key="me.pub"))
    assert "no matching signatures" in str(caught.value)
    assert "--insecure-ignore-tlog=true" in program.read_text()


def test_an_identity_is_asked_for_with_its_provider(program: Path) -> None:
    by = cosign.Identity(name="me@example.org", issuer="https://id.example.org")
    cosign.check(_IMAGE, _HERE, by)
    said = program.read_text()
    assert "--certificate-identity me@example.org --certificate-oidc-issuer https://id.example.org" in said
    assert "ignore-tlog" not in said


def test_no_cosign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(cosign.NoCosignError, match="is not installed"):
        cosign.sign(_IMAGE, _HERE, "")
