"""Whatever a stranger's file, answer or flag holds: a value, or an error of ours that says what is wrong.

``make fuzz`` runs the same for as long as one likes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.table import PARSERS, attempt

if TYPE_CHECKING:
    from tests.fuzz.parser import Parser

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = 25
"""Of each reader; there are some seventy, and this is for every change."""
SETTINGS = settings(
    max_examples=EXAMPLES, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
"""The same inputs each time: ``make fuzz`` looks for new ones."""

FOREIGN = re.compile(
    r"jsonvalue\.loads|tomllib\.loads|yaml\.(safe_)?load|zipfile\.ZipFile\(|tarfile\.open\(|\.unpack_from\("
    r"|ast\.parse|Deb822|configparser\.|WheelFile\.open|foreign\.reading|shlex\.split|b64decode"
)
"""What a module has in it that reads a format which somebody else may have written."""
OWN = {
    "cog_nix/image/archive_files": "its files are read through cog_nix/image/archive_program",
    "cog_nix/image/archives": "writes",
    "cog_nix/build/archived": "hashes of the lock, which are checked there",
    "cog_nix/check/case": "our own cases",
    "cog_nix/cli/predict": "labels of images that were built, and any answer will do",
    "cog_nix/cli/schema": "compares JSON, whatever it is",
    "cog_nix/doctor/fixes": "source that the user has, for a look at it",
    "cog_nix/doctor/project": "as above",
    "cog_nix/fetch/git": "writes",
    "cog_nix/system/jsonvalue": "is what reads",
    "cog_nix/signature/newer": "tests/signature/test_fuzz.py",
    "cog_nix/store/choice": "what it remembered itself; any other answer counts as none",
    "cog_nix/store/paths": "digests of the lock, which are checked there",
    "hooks/cog_nix_hooks/bundle/packed": "writes",
    "hooks/cog_nix_hooks/pypi/placeholders": "writes",
    "hooks/cog_nix_hooks/bundle/choice": "what it remembered itself; any other answer counts as none",
    "hooks/cog_nix_hooks/docker/container": "a file that Docker copies from a container of ours",
    "nix/builders/archive": "fragments that we wrote ourselves",
    "nix/builders/blob": "as above",
    "nix/builders/builder_image": "as above",
    "nix/builders/debs": "packages through nix/builders/deb",
    "nix/builders/foreign": "is what reads",
    "nix/builders/handover": "what cog-nix hands over",
    "nix/builders/ownership": "what the builder has noted itself",
    "nix/builders/layer": "fragments that we wrote ourselves",
    "nix/builders/seed": "wheels of the seed, as nix/builders/wheel",
    "nix/builders/stream": "writes",
    "nix/builders/unpack": "fragments that we wrote ourselves",
}
"""Modules that are not in the table, and why."""
OWN_JSON = {
    *("cog_nix/cdi/document", "cog_nix/config/form", "cog_nix/config/gpu", "cog_nix/config/torch"),
    *("cog_nix/signature/legacy", "cog_nix/signature/openapi"),
    *(
        "hooks/cog_nix_hooks/bundle/seccomp",
        "hooks/cog_nix_hooks/pypi/names",
        "hooks/cog_nix_hooks/nvidia/libraries",
    ),
    *("hooks/cog_nix_hooks/nvidia/metadata", "hooks/cog_nix_hooks/nvidia/opened"),
    "hooks/cog_nix_hooks/debian/known",
    *("cog_nix/runtime/media", "cog_nix/system/platforms"),  # all of these read files of the package
    *("cog_nix/cdi/place", "cog_nix/cli/config", "cog_nix/config/label", "cog_nix/container/image"),
    *(
        "cog_nix/container/server",
        "cog_nix/run_commands/difference",
        "cog_nix/run_commands/execute",
        "cog_nix/namespaces/sandbox",
    ),
    "cog_nix/keep/keeper",  # which inherits its request from who starts it
    "cog_nix/keep/messages",  # what reads: halves of surrogate pairs are a model's own
    "cog_nix/watch/inside",  # which runs in a container, beside nothing of this package
    "cog_nix/image/project_files",  # lists in the store that Nix made
    *("hooks/cog_nix_hooks/bundle/cgroups", "hooks/cog_nix_hooks/bundle/nsenter"),
    *("hooks/cog_nix_hooks/pypi/backend_call", "hooks/cog_nix_hooks/pypi/uv_python"),
    "hooks/cog_nix_hooks/bundle/devices",  # and what another part of this program has just written
    *("cog_nix/cli/fast_path", "cog_nix/build/unchanged"),  # any failure counts as no answer
    *("cog_nix/system/jsonvalue", "cog_nix/runtime/jsontext", "cog_nix/lock/format"),  # what reads
}
"""Modules that read JSON of their own."""


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_value_or_an_error_of_ours(parser: Parser) -> None:
    @SETTINGS
    @given(parser.given)
    def one(data: object) -> None:
        attempt(parser, data)

    one()


def test_every_reader_has_its_own_name() -> None:
    names = [parser.name for parser in PARSERS]
    assert len(names) == len(set(names))


def test_every_module_that_reads_foreign_formats_is_in_the_table() -> None:
    covered = [module for parser in PARSERS for module in parser.modules]
    missing = []
    for top in ("cog_nix", "hooks", "nix/builders"):
        for path in sorted((ROOT / top).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix().removesuffix(".py").removesuffix("/__init__")
            known = name in OWN or any(name == one or name.startswith(f"{one}/") for one in covered)
            if not known and FOREIGN.search(path.read_text(encoding="utf-8")):
                missing.append(name)
    assert not missing


def test_json_of_others_is_read_by_one_function() -> None:
    """``json.loads`` raises RecursionError, and lets half surrogate pairs pass."""
    found = {
        path.relative_to(ROOT).as_posix().removesuffix(".py")
        for top in ("cog_nix", "hooks")
        for path in (ROOT / top).rglob("*.py")
        if re.search(r"(?<![\w.])json\.loads?\(", path.read_text(encoding="utf-8"))
    }
    assert found <= OWN_JSON


def test_modules_of_the_table_are_there() -> None:
    for module in {*(module for parser in PARSERS for module in parser.modules), *OWN}:
        assert (ROOT / f"{module}.py").is_file() or (ROOT / module).is_dir(), module
