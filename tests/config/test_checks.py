"""``[[check]]`` of cog-nix.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.config import load_settings
from cog_nix.config.model import Check, Project
from cog_nix.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def checks(folder: Path, text: str) -> tuple[Check, ...]:
    (folder / "cog-nix.toml").write_text(text)
    return load_settings(Project(folder, folder / "cog.yaml")).check


def test_checks_are_read(tmp_path: Path) -> None:
    found = checks(
        tmp_path,
        """
[[check]]
name = "greets"
input = { text = "Ada", times = 2, image = "@cat.png" }
output = ["a", 1, true, { b = 0.5 }]

[[check]]
near = [1.0, 2]
tolerance = 0.1
[check.input]
x = 1

[[check]]
refused = "at least"

[[check]]
pattern = "^a"

[[check]]
output_file = "a.png"
""",
    )
    assert [one.name for one in found] == ["greets", "check 2", "check 3", "check 4", "check 5"]
    assert found[0].input == {"text": "Ada", "times": 2, "image": "@cat.png"}
    assert found[0].output == ["a", 1, True, {"b": 0.5}]
    assert (found[1].input, found[1].near, found[1].tolerance) == ({"x": 1}, [1.0, 2], 0.1)
    assert [one.refused for one in found][2] == "at least"
    assert (found[3].pattern, found[4].output_file) == ("^a", "a.png")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("check = 1", "cog-nix.toml: check must be a list of tables"),
        ("[check]\nname = 'a'", "cog-nix.toml: check must be a list of tables"),
        ("[[check]]\nname = 'a'\n[[check]]\nouput = 1", 'cog-nix.toml:4: there is no setting "check.ouput"'),
        ("[[check]]\nname = ''", "cog-nix.toml:2: check.name must be a line of text"),
        ("[[check]]\n\ninput = 3", "cog-nix.toml:3: check.input must be a table"),
        ("[[check]]\n[check.input]\na = 2026-01-01", "cog-nix.toml:2: check.input must be a table"),
        ("[[check]]\noutput = nan", "cog-nix.toml:2: check.output must be"),
        ("[[check]]\npattern = '('", "cog-nix.toml:2: check.pattern must be a regular expression"),
        ("[[check]]\nnear = 1", "cog-nix.toml:2: near and tolerance belong together"),
        (
            "[[check]]\nnear = 1\ntolerance = -1",
            "cog-nix.toml:3: check.tolerance must be a number, 0 or more",
        ),
        ("[[check]]\noutput = 1\npattern = 'a'", "cog-nix.toml:3: a check has output and pattern"),
        ("[[check]]\nname = 'a'\n[[check]]\nname = 'a'", 'cog-nix.toml:4: two checks have the name "a"'),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checks(tmp_path, text)
    assert caught.value.message.startswith(told)


def test_a_misspelt_key_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='Did you mean "output"'):
        checks(tmp_path, "[[check]]\nouput = 1")


def test_all_that_is_wrong_is_told_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        checks(tmp_path, "[[check]]\nname = 1\n[[check]]\nrefused = 2\n[layers]\nbudget = 1")
    assert [
        line.partition(": ")[0] for line in caught.value.message.splitlines() if "cog-nix.toml" in line
    ] == [
        "cog-nix.toml:2",
        "cog-nix.toml:4",
        "cog-nix.toml:6",
    ]
