"""Each failure that people meet ends in a sentence and a way out."""

from __future__ import annotations

import pytest

from cog_nix.errors import NixError
from cog_nix.namespaces.causes import Obstacle
from cog_nix.store import failures
from cog_nix.store.failures import explain

_DRV = "builder for '/nix/store/a5fyyj1wnymc1ds1y95ic6apndnp912a-debian.drv' failed"


@pytest.mark.parametrize(
    ("said", "sentence", "hint"),
    [
        ("writing to file: No space left on device", "The disk is full.", "nix-collect-garbage"),
        ("database or disk is full", "The disk is full.", "nix-collect-garbage"),
        (
            "getting status of '/nix/var/nix/db': Permission denied",
            "This user may not write to the Nix store.",
            "COG_NIX_STORE",
        ),
        ("creating directory '/nix': Permission denied", "This user may not write", "COG_NIX_STORE"),
        ("opening lock file '/nix/var/nix/db/big-lock': Permission denied", "may not write", "COG_NIX_STORE"),
        (
            "cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused",
            "The Nix daemon does not answer.",
            "systemctl start nix-daemon",
        ),
        ("cannot figure out user name", "Nix needs a name for this user", "export USER="),
        (
            "hash mismatch in fixed-output derivation '/nix/store/0-x.deb.drv':\n  got: sha256-B",
            "A file that Nix fetched is not what the lock says.",
            "cog-nix lock --upgrade",
        ),
        (
            "builder for '/nix/store/0-cog-nix-seed-3.13.drv' failed with exit code 1",
            "The builders' Python is not in this store yet.",
            "cog-nix build",
        ),
    ],
    ids=[
        "disk-full",
        "database-full",
        "not-writable",
        "no-nix-folder",
        "locked-out",
        "daemon",
        "nameless",
        "hash",
        "seed",
    ],
)
def test_known_failures_say_what_to_do(said: str, sentence: str, hint: str) -> None:
    error = explain(said)
    assert isinstance(error, NixError)
    assert sentence in error.message
    assert said.splitlines()[0] in error.message, "Nix's own words stay"
    assert hint in error.hint


@pytest.mark.parametrize(
    "said",
    [
        "this system does not support the kernel namespaces that are required for sandboxing",
        "cloning builder process: Operation not permitted",
        "cloning builder process: No space left on device",
        "unable to start build process: mounting /proc: Operation not permitted",
        "setting up a private mount namespace: Operation not permitted",
    ],
    ids=["no-namespaces", "clone", "none-left", "proc", "mount-namespace"],
)
def test_builds_that_cannot_be_isolated(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    obstacle = Obstacle("setting", "They are forbidden.", "sudo sysctl -w allowed=1")
    monkeypatch.setattr(failures, "why_no_namespaces", lambda: obstacle)
    error = explain(said)
    assert error.message.splitlines() == ["They are forbidden.", f"  {said}"]
    assert error.hint == obstacle.remedy
    monkeypatch.setattr(failures, "why_no_namespaces", lambda: None)
    assert "forbidden" not in explain(said).message, "what can be done here is no cause"


def test_a_cause_is_found_in_the_builders_output() -> None:
    error = explain(
        _DRV, ["dpkg: error: cannot copy: No space left on device", "cog-nix: dpkg ended"], "debian"
    )
    assert error.message.startswith("The disk is full.\n  dpkg: error")


@pytest.mark.parametrize(
    "line",
    [
        "Unpacking util-linux with unshare(1) and user namespaces",
        "checking for unshare... yes",
        "creating file list",
    ],
)
def test_innocent_lines_do_not_name_a_cause(line: str) -> None:
    assert explain(_DRV, [line], "debian").message.startswith("Building debian failed.")


def test_a_builders_own_sentence_comes_first() -> None:
    error = explain(_DRV, ["cog-nix: predict.py:3: Predictor has no run()", "  and a second line"], "source")
    assert error.message == "predict.py:3: Predictor has no run()\n  and a second line"


def test_what_another_tool_said_before_it_follows() -> None:
    log = ["Setting up some (1.0)", "some.postinst: odd: not found", "cog-nix: dpkg ended with status 1"]
    assert explain(_DRV, log, "debian").message == (
        "dpkg ended with status 1\nBefore that it printed:\n"
        "  Setting up some (1.0)\n  some.postinst: odd: not found"
    )


def test_any_other_builder_is_named_with_its_last_lines() -> None:
    error = explain(_DRV, [f"line {number}" for number in range(100)], "debian")
    assert error.message.startswith("Building debian failed. The last it printed:\n  line 70\n")
    assert error.message.endswith("  line 99")
    assert "-v" in error.hint


def test_anything_else_is_nixs_own_words() -> None:
    error = explain("syntax error, unexpected end of file")
    assert error.message == "Nix failed:\n  syntax error, unexpected end of file"
    assert "-v" in error.hint


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("No package 'libavformat' found", "libavformat.pc"),
        ("Package libavformat was not found in the pkg-config search path.", "libavformat.pc"),
        ("Package 'libavformat', required by 'virtual:world', not found", "libavformat.pc"),
        ("src/a.c:3:10: fatal error: libpq-fe.h: No such file or directory", "libpq-fe.h"),
    ],
)
def test_a_build_that_misses_a_library_comes_with_where_to_find_it(line: str, told: str) -> None:
    log = ["running build_ext", line, line, "cog-nix: building av 10.0.0 ended with status 1"]
    error = explain("", log, "wheel-av")
    assert f"It needs {told} of another library." in error.hint
    assert f"apt-file search {told}" in error.hint
    assert ("perhaps libavformat-dev" in error.hint) is told.endswith(".pc")
    assert not explain("", ["cog-nix: building av 10.0.0 ended with status 1"], "wheel-av").hint
