"""Each flag of cog 0.23.1 is taken by the command that has it there, and is in the table of the docs."""

from __future__ import annotations

import pytest

from cog_nix.cli.commands import COMMANDS
from conftest import ROOT

PAGE = ROOT / "docs/reference/cog-compatibility.md"
BASES = "--progress --use-cog-base-image --use-cuda-base-image -f --file"
BUILD = f"{BASES} --dockerfile --no-cache --openapi-schema --secret --separate-weights --strip --precompile"
INPUTS = "--dockerfile -e --env --gpus -i --input -o --output"
RUN = f"{BASES} {INPUTS} --json --setup-timeout --use-replicate-token"
FLAGS = {
    "build": f"{BUILD} -t --tag --timestamp --skip-schema-validation",
    "run": RUN,
    "predict": RUN,
    "train": f"{BASES} {INPUTS}",
    "playground": "--host --no-open -p --port --target --webhook-host",
    "serve": f"{BASES} --gpus --host --playground --playground-port -p --port --upload-url",
    "exec": f"{BASES} --dockerfile -e --env --gpus -p --publish",
    "push": f"{BUILD} --json",
    "login": "--token-stdin",
    "init": "",
    "doctor": "-f --file --fix",
}


@pytest.fixture(scope="module")
def taken() -> dict[str, set[str]]:
    """The flags of each command."""
    return {
        name: {flag for one in COMMANDS[name].load(name).params for flag in (*one.opts, *one.secondary_opts)}
        for name in FLAGS
    }


@pytest.mark.parametrize("command", FLAGS)
def test_its_flags_are_taken_and_told_of(command: str, taken: dict[str, set[str]]) -> None:
    flags = set(FLAGS[command].split())
    assert flags <= taken[command]
    page = PAGE.read_text()
    assert {flag for flag in {f"`{one}`" for one in {*flags, command}} if flag not in page} == set()
