"""``cog-nix check --against``, and what a project declares, on models that answer from this process."""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from cog_nix.check.case import CompatError
from cog_nix.check.engine import Engine
from cog_nix.check.release import Plan, Release, compare
from cog_nix.check.result import Outcome
from cog_nix.cli import check
from cog_nix.cli.against import told
from cog_nix.errors import CogNixError
from tests.cli.commands import invoke_command

from .models import Answer, Model, Models, document, fails, refuses, says

if TYPE_CHECKING:
    from pathlib import Path

TEXT = {"type": "string"}
DOCUMENT = document(
    {"text": TEXT, "times": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1}}, ("text",)
)


def repeat(given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return says(given["text"] * given.get("times", 1))


def shout(given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return says(repeat(given)[1]["output"].upper())


def only_once(given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return says(given["text"]) if given.get("times", 1) == 1 else refuses("times", "is more than 1")


def released(old: Model, new: Model, **plan: Any) -> Release:
    runtime: Any = Models({"old": old, "new": new})
    return compare("old", "new", Plan(**plan), Engine(runtime), lambda _: None)


def answers(old: Answer, new: Answer, **plan: Any) -> Release:
    return released(Model(DOCUMENT, old), Model(DOCUMENT, new), **plan)


def test_the_same_model_is_compatible() -> None:
    found = answers(repeat, repeat)
    assert found.compatible
    assert [one.outcome for one in found.trials] == [Outcome.PASS] * 10
    assert not [
        *filter(None, (one.detail for one in found.trials)),
        *filter(None, (one.detail for one in found.findings)),
    ]
    assert {one.what for one in found.timings} == {"start until ready", "prediction, median"}
    assert list(told(found))[-1] == "A client of old may use new."


def test_both_get_the_same_questions_and_a_seed_repeats_them() -> None:
    old, new, again = (Model(DOCUMENT, repeat) for _ in range(3))
    released(old, new, seed=5)
    assert old.asked == new.asked
    released(again, Model(DOCUMENT, repeat), seed=5)
    assert again.asked == old.asked


def test_another_answer_is_told_and_breaks_with_exact() -> None:
    found = answers(repeat, shout)
    assert found.compatible
    changed = [one for one in found.trials if one.changed]
    assert changed
    assert any(line.startswith("  differs  random") for line in told(found))
    assert list(told(found))[-1] == f"A client of old may use new ({len(changed)} answers are others)."
    assert not answers(repeat, shout, exact=True).compatible


def test_what_the_old_model_never_says_twice_is_not_expected() -> None:
    count = itertools.count()
    found = answers(lambda _: says(str(next(count))), repeat, exact=True)
    assert found.compatible
    assert {one.detail for one in found.trials} == {"the old image answers otherwise each time"}


def test_what_is_refused_or_fails_now_breaks() -> None:
    found = answers(repeat, only_once)
    assert not found.compatible
    failed = [one for one in found.trials if one.outcome is Outcome.FAIL]
    assert all(one.inputs["times"] > 1 for one in failed)
    assert "refuses it: times: is more than 1; the old image answers" in failed[0].detail
    crashed = answers(repeat, lambda _: fails("no luck"))
    assert "fails: no luck; the old image answers" in crashed.trials[0].detail


def test_what_the_old_model_cannot_either_says_nothing() -> None:
    found = answers(only_once, lambda given: repeat(given) if given.get("times", 1) == 1 else fails("x"))
    assert found.compatible
    assert {one.outcome for one in found.trials} == {Outcome.PASS, Outcome.NOT_APPLICABLE}


def test_an_answer_of_another_kind_breaks() -> None:
    found = answers(repeat, lambda _: says({"not": "text"}))
    assert not found.compatible
    assert "which the old image's interface does not allow" in found.trials[0].detail


def test_a_busy_server_is_waited_for() -> None:
    found = released(Model(DOCUMENT, repeat, busy=2), Model(DOCUMENT, repeat, busy=3))
    assert found.compatible


def test_a_new_model_that_does_not_start_breaks_and_an_old_one_is_an_error() -> None:
    well, ill = (Model(DOCUMENT, repeat, starts=starts) for starts in (True, False))
    found = released(well, ill)
    assert not found.compatible
    assert "SETUP_FAILED" in found.findings[-1].detail
    with pytest.raises(CompatError, match="old does not run, so there is nothing to compare with"):
        released(ill, well)


def test_what_is_around_the_model_counts() -> None:
    old = Model(DOCUMENT, repeat, env={"COG_MAX_CONCURRENCY": "4"}, sdk="0.22.0")
    new = Model(DOCUMENT, repeat)
    parts = {one.part: (str(one.effect), one.detail) for one in released(old, new).findings}
    assert parts["concurrency"] == ("breaks", "1 at once, it was 4: more are refused with 409")
    assert parts["server"] == ("differs", "cog 0.23.1, it was 0.22.0")
    assert released(new, old).compatible


def test_a_model_with_gpus_gets_them() -> None:
    old, new = Model(DOCUMENT, repeat, gpus=""), Model(DOCUMENT, repeat)
    released(old, new)
    assert old.gpus == "all"
    released(old, new, gpus="device=1")
    assert old.gpus == "device=1"


def test_variables_reach_both(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "cog-nix.toml").write_text('[[check]]\nname = "it"\ninput = { text = "a" }\n')
    old, new = Model(DOCUMENT, repeat), Model(DOCUMENT, repeat)
    use(monkeypatch, old=old, new=new)
    assert invoke_command("check", "new", "--against", "old", "-e", "A=b").exit_code == 0
    assert old.given == new.given == [{"A": "b"}]
    assert invoke_command("check", "new", "--case", "it", "-e", "A=c").exit_code == 0
    assert new.given == [{"A": "b"}, {"A": "c"}]


def test_a_file_is_not_made_up() -> None:
    api = document({"file": {"type": "string", "format": "uri"}}, ("file",))
    found = released(Model(api, lambda _: says("x")), Model(api, lambda _: says("x")))
    assert found.trials == ()
    assert found.not_drawn == "needs -i file=… or a [[check]] that has it"
    assert "  none: needs -i file=… or a [[check]] that has it" in list(told(found))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cog.yaml").write_text('run: "run.py:Runner"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def use(monkeypatch: pytest.MonkeyPatch, **models: Model) -> None:
    monkeypatch.setattr(check, "usable_runtime", lambda _: Models(models))


def suites_of(path: Path) -> list[ET.Element]:
    return ET.fromstring(path.read_bytes()).findall("testsuite")  # noqa: S314 - written a moment ago


CHECKS = """
[[check]]
name = "twice"
input = { text = "ab", times = 2 }
output = "abab"

[[check]]
name = "never"
input = { text = "ab", times = 3 }
refused = "more than"

[[check]]
name = "pattern"
input = { text = "Ada" }
pattern = "^A.a$"
"""


def test_declared_checks_are_tried_on_both(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "cog-nix.toml").write_text(CHECKS)
    use(monkeypatch, old=Model(DOCUMENT, repeat), new=Model(DOCUMENT, only_once))
    done = invoke_command(
        "check", "--against", "old", "new", "--random", "0", "--json", "--junit", "out/r.xml"
    )
    assert done.exit_code == 1, done.stderr
    found = json.loads(done.stdout)
    assert not found["compatible"]
    assert [(one["name"], one["outcome"], one["detail"]) for one in found["trials"]] == [
        ("twice", "fail", "refuses it: times: is more than 1; the old image does"),
        ("never", "pass", 'the old image answers "ababab"'),
        ("pattern", "pass", ""),
    ]


def test_the_results_are_written_for_ci(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "cog-nix.toml").write_text(CHECKS)
    use(monkeypatch, old=Model(DOCUMENT, repeat), new=Model(DOCUMENT, only_once))
    done = invoke_command("check", "--against", "old", "new", "--junit", "r.xml")
    assert done.exit_code == 1
    suites = suites_of(project / "r.xml")
    assert [suite.get("name") for suite in suites] == [
        "interface of new against old",
        "checks of new against old",
        "random inputs of new against old, seed 0",
    ]
    assert [suite.get("tests") for suite in suites] == ["3", "3", "10"]
    (failure,) = suites[1].findall("testcase/failure")
    assert failure.get("message") == "refuses it: times: is more than 1; the old image does"


def test_one_image_is_tried_as_well(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "cog-nix.toml").write_text(CHECKS)
    use(monkeypatch, new=Model(DOCUMENT, only_once))
    done = invoke_command("check", "new", "--case", "never", "--case", "twice", "--junit", "r.xml")
    assert done.exit_code == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()[:2]] == [
        ["fail", "twice"],
        ["pass", "never"],
    ]
    assert "1 promises kept, 1 broken" in done.stdout
    (suite,) = suites_of(project / "r.xml")
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


@pytest.mark.parametrize(
    ("output", "expected", "why"),
    [
        ([1.0, 2.0], "near = [1.04, 2]\ntolerance = 0.05", ""),
        ([1.0, 2.0], "near = [1.1, 2]\ntolerance = 0.05", "the answer[0] is 1.0, not 1.1 by 0.05"),
        ({"a": 1, "b": "x"}, 'near = { a = 1.01, b = "x" }\ntolerance = 0.05', ""),
        ({"a": 1, "b": "x"}, 'near = { a = 1, b = "y" }\ntolerance = 1', 'the answer.b is "x", not "y"'),
        ([1], "near = [1, 2]\ntolerance = 1", "the answer is [1], not [1, 2]"),
        (["a", "b"], 'pattern = "^ab$"', ""),
        ({"a": 1}, "pattern = '\"a\": 1'", ""),
        (1.0, "output = 1", ""),
        (True, "output = 1", "answers true, not 1"),
        ("x", 'refused = "x"', 'answers "x", and should refuse it'),
        (f"data:text/plain;base64,{base64.b64encode(b'file').decode()}", 'output_file = "right.txt"', ""),
        (
            "data:,fila",
            'output_file = "right.txt"',
            "the answer is a file of 4 bytes, other than right.txt of 4",
        ),
        ("file", 'output_file = "right.txt"', 'the answer is "file", and no file'),
        (None, "", ""),
    ],
)
def test_each_expectation(
    project: Path, monkeypatch: pytest.MonkeyPatch, output: Any, expected: str, why: str
) -> None:
    (project / "right.txt").write_text("file")
    (project / "cog-nix.toml").write_text(
        f'[[check]]\nname = "it"\ninput = {{ text = "@right.txt" }}\n{expected}\n'
    )
    model = Model(DOCUMENT, lambda _: says(output))
    use(monkeypatch, model=model)
    done = invoke_command("check", "model", "--case", "it", "--json")
    (found,) = json.loads(done.stdout)
    assert (found["outcome"], found["detail"]) == ("fail" if why else "pass", why)
    assert model.asked == [{"text": "data:text/plain;base64,ZmlsZQ=="}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "new", "--seed", "1"), "--seed: this is for comparing two images."),
        (("check", "new", "--against", "old", "--case", "nope"), "--case nope: there is no such check."),
        (("check", "new", "--against", "gone"), "gone"),
        (("check", "new", "--against", "old", "-i", "nope=1"), "The model has no input 'nope'."),
    ],
    ids=["seed", "case", "image", "input"],
)
def test_what_cannot_be_asked_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    assert project.is_dir()
    use(monkeypatch, old=Model(DOCUMENT, repeat), new=Model(DOCUMENT, repeat))
    done = invoke_command(*arguments)
    assert isinstance(done.exception, CogNixError)
    assert message in done.exception.message


def test_a_file_of_a_check_that_is_missing_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "cog-nix.toml").write_text('[[check]]\ninput = { text = "@gone.txt" }\n')
    use(monkeypatch, old=Model(DOCUMENT, repeat), new=Model(DOCUMENT, repeat))
    done = invoke_command("check", "new", "--against", "old")
    assert isinstance(done.exception, CogNixError)
    assert "gone.txt cannot be read: No such file" in done.exception.message
