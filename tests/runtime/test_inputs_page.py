"""docs/how-to/inputs.md says what inputs become; here it is done."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from cog_nix import signature
from cog_nix.errors import RuntimeFailure
from cog_nix.runtime.inputs import prepare_inputs, read_inputs
from cog_nix.runtime.schema import ApiSchema

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "inputs.md").read_text(encoding="utf-8")
CONSOLE = "\n".join(re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
EXAMPLES = re.findall(r"^\$ cog-nix run (.*)\n((?:(?!\$ ).*\n?)+)", CONSOLE, re.MULTILINE)


def block(info: str) -> str:
    found = re.search(rf"^```{info}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def prepared(arguments: str, schema: ApiSchema) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    parser.add_argument("-i", action="append", default=[])
    parser.add_argument("--json", default="")
    options = parser.parse_args(shlex.split(arguments))
    return prepare_inputs(read_inputs(options.i, options.json), schema)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == CONSOLE.count("$ cog-nix") > 15


@pytest.mark.parametrize(("arguments", "shown"), EXAMPLES, ids=[one[0] for one in EXAMPLES])
def test_an_example_gives_what_stands_below_it(
    arguments: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.py").write_text(block("python"))
    (tmp_path / "inputs.json").write_text(block("json"))
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    monkeypatch.chdir(tmp_path)
    schema = ApiSchema.parse(signature.document(tmp_path, "run.py:Runner", None, ""))
    expected = shown.strip()
    if expected.startswith("# "):
        content = json.loads(expected[2:].replace("…", "/9g="))
        assert json.dumps(prepared(arguments, schema)) == json.dumps(content)
    else:
        with pytest.raises(RuntimeFailure) as caught:
            prepared(arguments, schema)
        assert f"error: {caught.value.message}" == expected
