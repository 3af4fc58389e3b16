"""``cog-nix check``: what it prints, where, and how it exits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import cog_nix.check.suite
from cog_nix.check import CompatError, Outcome, Result
from cog_nix.cli import check
from cog_nix.cli.session import Session
from cog_nix.errors import CogNixError, ImageError
from cog_nix.plugins import manager as plugins
from cog_nix.system.platforms import ARM64
from tests.cli.commands import invoke_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cog_nix.system.platforms import Platform


class Holder:
    """A runtime that holds one image, and pulls others."""

    name = title = "Holder"

    def __init__(self) -> None:
        self.pulled: list[tuple[str, Platform | None]] = []

    def image_id(self, reference: str) -> str | None:
        return "sha256:1" if reference == "model" else None

    def image_attributes(self, _: str) -> dict[str, Any]:
        return {"Os": "linux", "Architecture": "amd64"}

    def listening_address(self) -> str:
        return ""

    def pull(self, reference: str, _: object, platform: Platform | None = None) -> None:
        self.pulled.append((reference, platform))


GOOD = Result("root", "GET / lists the endpoints", Outcome.PASS)
BAD = Result("predict", "POST /predictions answers", Outcome.FAIL, "step 1: answered [500]")
MOOT = Result("stream", "Accept: text/event-stream is answered", Outcome.NOT_APPLICABLE, "does not stream")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Answers with ``asked["answer"]``, and notes the question."""
    note: dict[str, Any] = {"answer": [GOOD], "holder": Holder()}

    def results(image: str, **question: Any) -> Iterator[Result]:
        note.update(question, image=image)
        yield from note["answer"]

    monkeypatch.setattr(cog_nix.check.suite, "results", results)
    monkeypatch.setattr(check, "usable_runtime", lambda _: note["holder"])
    return note


def test_each_case_is_a_line(asked: dict[str, Any]) -> None:
    asked["answer"] = [GOOD, MOOT]
    done = invoke_command("check", "model", "-i", "text=a=b", "--case", "root")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == [
        "pass           root",
        "not applicable stream               does not stream",
    ]
    assert "1 promises kept, 0 broken, 1 not applicable" in done.stdout
    assert asked["image"] == "model"
    assert asked["inputs"] == {"text": "a=b"}
    assert asked["only"] == ["root"]


@pytest.mark.parametrize(
    ("words", "pulled"),
    [
        (["model"], []),
        (["other"], [("other", None)]),
        (["other", "--platform", "arm64"], [("other", ARM64)]),
        (["model", "--platform", "linux/amd64"], []),
        (["model", "--platform", "linux/arm64"], [("model", ARM64)]),
    ],
    ids=["held", "not-held", "not-held-arm64", "held-amd64", "held-arm64"],
)
def test_an_image_that_is_not_held_is_pulled(
    asked: dict[str, Any], words: list[str], pulled: list[object]
) -> None:
    done = invoke_command("check", *words)
    assert done.exit_code == 0
    assert asked["holder"].pulled == pulled
    assert ("model is here for linux/amd64" in done.stderr) == (pulled == [("model", ARM64)])


def test_a_broken_promise_exits_with_1(asked: dict[str, Any]) -> None:
    asked["answer"] = [GOOD, BAD]
    done = invoke_command("check", "model")
    assert done.exit_code == 1
    assert "answered [500]" in done.stdout
    assert "1 broken" in done.stdout


def test_json_is_all_that_stdout_gets(asked: dict[str, Any]) -> None:
    asked["answer"] = [BAD]
    done = invoke_command("check", "model", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == [
        {
            "case": "predict",
            "promise": "POST /predictions answers",
            "outcome": "fail",
            "detail": "step 1: answered [500]",
            "seconds": 0.0,
        }
    ]


def test_the_cases_can_be_listed_without_an_image() -> None:
    done = invoke_command("check", "--list")
    assert done.exit_code == 0
    assert "health-ready" in done.stdout
    assert "[counter]" in done.stdout


def test_without_an_image_the_usage_is_told() -> None:
    done = invoke_command("check")
    assert done.exit_code == 2
    assert "IMAGE" in done.stderr


def test_what_cannot_be_examined_is_an_image_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def results(*_: object, **__: object) -> Iterator[Result]:
        raise CompatError("Docker has no image 'x'.", hint="Build it first.")
        yield

    monkeypatch.setattr(cog_nix.check.suite, "results", results)
    monkeypatch.setattr(check, "usable_runtime", lambda _: None)
    session = Session(plugins.load({"COG_NIX_PLUGINS": "0"}))
    with pytest.raises(ImageError, match="Docker has no image 'x'") as caught:
        check.examine(session, "x", {}, [])
    assert caught.value.hint == "Build it first."


@pytest.mark.parametrize("pair", ["text", "=x", ""])
def test_an_input_without_a_name_is_refused(pair: str) -> None:
    with pytest.raises(CogNixError, match="names no input"):
        check.parse_inputs([pair])


def test_a_terminal_gets_the_promises_too(capsys: pytest.CaptureFixture[str]) -> None:
    check._print_table([GOOD, BAD])
    assert "GET / lists the endpoints" in capsys.readouterr().out
