"""A wrong command line is told in the words of cog's, which scripts look for."""

from __future__ import annotations

import pytest

from cog_nix.cli.app import run


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("build --nope", "unknown flag: --nope"),
        ("build -z", "unknown shorthand flag: 'z' in -z"),
        ("build --tag", "flag needs an argument: --tag"),
        ("build -t", "flag needs an argument: 't' in -t"),
        ("exec", "requires at least 1 arg(s), only received 0"),
        ("build --no-cache=maybe", "Option '--no-cache' does not take a value."),
        ("build here", 'unknown command "here" for "cog build"'),
        ("init here", "accepts at most 0 arg(s), received 1"),
        ("push a b c", "accepts at most 1 arg(s), received 3"),
    ],
)
def test_words_of_a_wrong_command_line(line: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(line.split()) == 2
    assert capfd.readouterr().err.splitlines()[-1] == f"Error: {said}"


def test_help_names_the_program_that_was_called(capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["exec", "--help"]):
        assert run(arguments, program="cog") == 0
        shown = capfd.readouterr().out
        assert "\n    cog exec " in shown
        assert "cog-nix exec" not in shown
