"""Secrets on their way: the command line, the pipe, the places, the log."""

from __future__ import annotations

import io
import os
import subprocess
from typing import TYPE_CHECKING

import failure
import handover as receiving
import mounts
import pytest

from cog_nix.cli import building
from cog_nix.config.commands import Place
from cog_nix.errors import ConfigError
from cog_nix.run_commands import handover, secrets

if TYPE_CHECKING:
    from pathlib import Path


def test_secrets_come_from_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"one\n")
    (tmp_path / "bare").write_bytes(b"four")
    environment = {"TOKEN": "two", "both": "three"}
    given = ["id=a,src=key", "type=env,id=b,src=TOKEN", "id=c,env=TOKEN", "id=both", "id=bare"]
    found = secrets.parse(given, tmp_path, environment)
    assert {name: secret.read(environment) for name, secret in found.items()} == {
        "a": b"one\n",
        "b": b"two",
        "c": b"two",
        "both": b"three",
        "bare": b"four",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("token", "key=value pair", id="no-field"),
        pytest.param("src=key", "needs an id", id="no-id"),
        pytest.param("id=a,type=ssh", "unsupported secret type", id="type"),
        pytest.param("id=a,path=key", "unexpected key", id="key"),
        pytest.param("id=a,src=missing", "No such file", id="no-file"),
        pytest.param("id=a,env=MISSING", "has no MISSING", id="no-variable"),
        pytest.param("id=a,src=large", "more than", id="too-large"),
    ],
)
def test_a_secret_that_cannot_be_read_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(600 * 1024))
    with pytest.raises(ConfigError, match=said):
        secrets.parse([text], tmp_path, {})["a"].read({})


def test_a_file_that_is_not_there_is_told_before_a_command_asks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"secret a: .*/missing: No such file or directory"):
        secrets.parse(["id=a,src=missing"], tmp_path, {})
    os.mkfifo(tmp_path / "pipe")
    assert secrets.parse(["id=a,src=pipe"], tmp_path, {}), "a pipe is read when it is asked for"


def test_files_are_looked_for_from_the_project_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cog.yaml").touch()
    (tmp_path / "key").write_bytes(b"one")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setattr(building, "guard", lambda _: None)
    assert building.given_secrets(["id=a,src=key"], "cog.yaml")["a"].read({}) == b"one"


def test_what_is_handed_over_arrives(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("certificates")
    environment = {"HTTPS_PROXY": "http://127.0.0.1:1", "OTHER": "x", "SSL_CERT_FILE": str(bundle)}
    message = handover.message({"a": b"\0value\xff"}, environment)
    assert receiving.receive(io.BytesIO(message.encode())) == receiving.Handover(
        {"a": b"\0value\xff"}, {"HTTPS_PROXY": "http://127.0.0.1:1"}, "certificates"
    )


def test_nothing_is_handed_over_in_a_plain_nix_build() -> None:
    assert receiving.receive(io.BytesIO()) == receiving.Handover()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NIX_BUILD_TOP", str(tmp_path))
    monkeypatch.setattr(mounts, "_MEMORY", tmp_path)
    (tmp_path / "root/var").mkdir(parents=True)
    (tmp_path / "root/run").mkdir()
    (tmp_path / "root/var/run").symlink_to("/run")
    return tmp_path / "root"


def test_places_are_there_only_meanwhile(root: Path) -> None:
    before = sorted(root.rglob("*"))
    wanted = [
        Place("secret", "/var/run/secrets/a", id="a", env="A"),
        Place("secret", "/run/b", id="b"),
        Place("empty", "/root/.cache/x"),
    ]
    with mounts.prepared(root, wanted, {"a": b"value"}) as made:
        assert made.variables == {"A": "value"}
        assert set(made.binds) == {"/run/secrets/a", "/root/.cache/x"}
        assert made.binds["/run/secrets/a"].read_bytes() == b"value"
        assert (root / "run/secrets/a").read_bytes() == b""
        kept = made.binds["/run/secrets/a"]
    assert sorted(root.rglob("*")) == before
    assert not kept.exists()


def test_a_required_secret_must_be_there(root: Path) -> None:
    with (
        pytest.raises(failure.BuildError, match="secret a: not found"),
        mounts.prepared(root, [Place("secret", "/a", id="a", required=True)], {}),
    ):
        pass


def test_links_are_followed_inside(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to("../../../run")
    assert mounts.inside(root, "/up/x") == root / "run/x"
    assert mounts.inside(root, "/loop/x").is_relative_to(root)


def test_secrets_are_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with mounts.redacted([b"first-line\nsecond-line\n"]):
        os.write(1, b"a first-line b\n")
        subprocess.run(["sh", "-c", "echo second-line >&2"], check=True)
    assert capfd.readouterr().out == "a *** b\n***\n"


def test_a_secret_that_was_left_is_found(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(bytes(70_000) + b"a-long-secret")
    (tmp_path / "empty").touch()
    with pytest.raises(failure.BuildError, match="leaves the secret token in /root/config"):
        mounts.refuse_leaks(
            [("empty", tmp_path / "empty"), ("root/config", file)], {"token": b"a-long-secret\n"}
        )
    mounts.refuse_leaks([("root/config", file)], {"short": b"a"})
