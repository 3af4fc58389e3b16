"""``cog-nix lock --check-runs``: commands that leave something else each time are named, with the reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Folder

pytestmark = [pytest.mark.nix, pytest.mark.network, pytest.mark.docker]  # as what `plain` is built from


def test_what_two_runs_leave_is_compared_and_the_record_stays(plain: Folder) -> None:
    plain.commands(
        "echo steady > /steady",
        "date +%s%N > /stamp; mktemp -d -p /opt",
    )
    ran = plain.run("lock", "--check-runs", check=False)
    assert ran.returncode == 3, ran.stderr
    said = ran.stderr
    assert "cog.yaml:5: two runs of this command do not leave the same:" in said
    assert "cog.yaml:4" not in said
    assert "clock       /stamp: " in said
    assert "name        /opt/tmp." in said
    assert "SOURCE_DATE_EPOCH" in said
    recorded = json.loads(plain.lock)["runs"]
    assert len(recorded) == 2

    plain.commands("echo steady > /steady")
    again = plain.run("lock", "--check-runs", "--upgrade", "cog", check=False)
    assert again.returncode == 0, again.stderr
    assert "Each command leaves the same when it runs again." in again.stderr
    assert json.loads(plain.lock)["runs"] == recorded[:1]


def test_a_secret_is_handed_over_and_not_told(plain: Folder) -> None:
    (plain.path / "token").write_text("correct-horse\n")
    (plain.path / ".dockerignore").write_text("token\n")
    plain.commands("--mount=type=secret,id=token sha256sum /run/secrets/token > /sum")
    ran = plain.run("lock", "--check-runs", "--secret", "id=token,src=token")
    assert "correct-horse" not in ran.stderr + plain.lock


def test_a_look_and_a_record_do_not_go_together(plain: Folder) -> None:
    ran = plain.run("lock", "--check-runs", "--dry-run", check=False)
    assert ran.returncode == 1
    assert "--dry-run and --check-runs: the first writes nothing." in ran.stderr
