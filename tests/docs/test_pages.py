"""What the manual says holds: files parse, commands and flags exist, links lead somewhere."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import shlex
import subprocess
import sys
import tomllib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix import config as cog_config
from cog_nix.cli.arguments import normalize
from cog_nix.config.model import Check, Project, Settings
from cog_nix.errors import LockError
from cog_nix.lock.model import Artifact, Deb, Lock
from cog_nix.plugins import manager as plugins
from cog_nix.plugins.spec import PROJECT_NAME, Spec
from cog_nix.run_commands.ensure import check

from .pages import PAGES, ROOT, Block, all_blocks, blocks, prose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCS = ROOT / "docs"
SHELLS = ("sh", "sh runnable", "sh folder", "sh tutorial", "console")


def named(items: list[Any]) -> dict[str, Any]:
    return {"argvalues": items, "ids": [item.name for item in items]}


@pytest.mark.parametrize("block", **named(all_blocks("yaml")))
def test_cog_yaml_is_accepted_and_can_be_built(block: Block, tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").write_text(block.body)
    for file in re.findall(r'"([^":]+\.py):', block.body):
        (tmp_path / file).touch()
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "m"\nrequires-python = ">=3.11"\n')
    beside = [one.body for one in all_blocks("toml") if one.page == block.page]
    (tmp_path / "cog-nix.toml").write_text(beside[0] if beside else "")
    project = Project(tmp_path, tmp_path / "cog.yaml")

    check(project, cog_config.load_config(project))


@pytest.mark.parametrize("block", **named([one for one in all_blocks("toml") if DOCS in one.page.parents]))
def test_cog_nix_toml_is_accepted(block: Block, tmp_path: Path) -> None:
    assert block.body.startswith("# cog-nix.toml\n")
    (tmp_path / "cog-nix.toml").write_text(block.body)

    settings = plugins.load({"COG_NIX_PLUGINS": "0"}).settings(Project(tmp_path, tmp_path / "cog.yaml"))

    assert settings != Settings() or "60" in block.body


def commands() -> Iterator[tuple[str, str]]:
    """Yield ``page:line`` or page, and each cog-nix command line that is written there."""
    for page in PAGES:
        for block in blocks(page):
            if block.info in SHELLS:
                for line in block.body.splitlines():
                    for found in re.findall(r"(?:^|[\s$|]|bin/)cog-nix\s+([^|&;#)]+)", line):
                        yield block.name, found
        for found in re.findall(r"`(?:[A-Z_]+=\S+ )?cog-nix ([^`]+)`", prose(page)):
            yield str(page.relative_to(ROOT)), found


def known_flags() -> dict[str, set[str]]:
    """Return the flags of each command, from the reference, which is generated from the code."""
    sections = re.split(r"^## cog-nix ", (DOCS / "reference/cli.md").read_text(), flags=re.MULTILINE)
    flags = {section.split("\n")[0]: set(re.findall(r"`(-[\w-]+)`", section)) for section in sections[1:]}
    return {**flags, "": set(re.findall(r"`(-[\w-]+)`", sections[0]))}


@pytest.mark.parametrize(
    ("where", "line"), [pytest.param(*one, id=f"{one[0]}-{one[1]}") for one in commands()]
)
def test_commands_and_flags_exist(where: str, line: str) -> None:
    flags = known_flags()
    words = shlex.split(line.replace("…", "x"))
    command = next((word for word in words if not word.startswith("-")), "")
    allowed = flags[""] | {"--help", "-h"}
    if command:
        assert command in flags, f"{where}: there is no command {command}"
        allowed |= flags.get(command, set())
    if command == "exec":  # what follows its command is that one's own
        words = normalize(words)
        words = words[: words.index("--")] if "--" in words else words
    unknown = {word.partition("=")[0] for word in words if re.match(r"-[\w-]", word)} - allowed
    assert not unknown, f"{where}: cog-nix {command} has no {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"there is no {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_page_can_be_reached(page: Path) -> None:
    readmes = (ROOT / "README.md", DOCS / "README.md")
    linked = {
        (readme.parent / target).resolve()
        for readme in readmes
        for target in re.findall(r"\]\(([^)#\s]+)", readme.read_text())
    }
    assert page in linked | set(readmes)


def test_generated_pages_are_up_to_date() -> None:
    script = ROOT / "scripts/write_reference.py"
    finished = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert (finished.returncode, finished.stdout) == (0, ""), "run `make docs`"


def test_every_hook_is_in_the_reference() -> None:
    reference = (DOCS / "reference/hooks.md").read_text()
    hooks = [name for name in vars(Spec) if not name.startswith("_")]
    assert hooks
    assert [name for name in hooks if f"\n## {name}\n" not in reference] == []


def schema_keys() -> list[str]:
    schema = json.loads((ROOT / "cog_nix/config/schema.json").read_text())
    keys = []
    for name, part in schema["properties"].items():
        nested = part.get("properties", {}) if name in ("build", "concurrency") else {}
        keys += [f"{name}.{key}" for key in nested] or [name]
    return keys


@pytest.mark.parametrize("key", schema_keys())
def test_every_key_of_cog_yaml_is_explained(key: str) -> None:
    assert re.search(rf"^\|.*`{re.escape(key)}`", (DOCS / "reference/cog-yaml.md").read_text(), re.MULTILINE)


SETTINGS = vars(plugins.load({"COG_NIX_PLUGINS": "0"}).settings())
TABLES = {**SETTINGS, **SETTINGS["tables"], "check": Check}
del TABLES["tables"]


@pytest.mark.parametrize("table", TABLES)
def test_every_setting_is_explained(table: str) -> None:
    reference = (DOCS / "reference/cog-nix-toml.md").read_text()
    for field in dataclasses.fields(TABLES[table]):
        assert f"`{table}.{field.name}`" in reference


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Lock)])
def test_every_key_of_the_lock_is_explained(field: str) -> None:
    assert f"`{field}`" in (DOCS / "reference/lock.md").read_text()


def test_measurements_of_the_readme_are_those_of_the_design_notes() -> None:
    why = (ROOT / "README.md").read_text().partition("\n## Why\n")[2].partition("\n## ")[0]
    notes = "".join((ROOT / f"docs/design/{name}.md").read_text() for name in ("performance", "cuda"))
    numbers = re.findall(r"\d+(?:\.\d+)? (?:s|MB|kB)\b", why)
    assert len(numbers) >= 5
    assert [number for number in numbers if not re.search(rf"(?<![\d.]){re.escape(number)}\b", notes)] == []


def test_every_environment_variable_is_explained() -> None:
    sources = [path for part in ("cog_nix", "hooks") for path in (ROOT / part).rglob("*.py")]
    used = {name for path in sources for name in re.findall(r"COG_NIX_[A-Z_]+[A-Z]", path.read_text())}
    assert used
    explained = set(re.findall(r"`(COG_NIX_[A-Z_]+)`", (DOCS / "reference/environment.md").read_text()))
    assert explained == used


def test_every_dependency_has_its_reason() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[\w.-]+", line)[0] for line in declared}  # type: ignore[index]
    reasons = re.findall(r"^\| `([\w.-]+)` \|", (DOCS / "design/dependencies.md").read_text(), re.MULTILINE)
    assert set(reasons) == names


def test_pages_that_the_code_refers_to_are_there() -> None:
    sources = [
        path for part in ("cog_nix", "hooks", "nix") for path in (ROOT / part).rglob("*") if path.is_file()
    ]
    named = {
        name
        for path in sources
        if path.suffix in (".py", ".nix")
        for name in re.findall(r"docs/(?:design|how-to|reference)/[\w-]+\.md", path.read_text())
    }
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


# The plugin of the how-to


EXAMPLE = DOCS / "how-to/plugin-example"


@pytest.mark.parametrize(
    ("info", "file"), [("toml pyproject", "pyproject.toml"), ("python plugin", "cog_nix_licences.py")]
)
def test_the_how_to_shows_the_plugin_as_it_is(info: str, file: str) -> None:
    [block] = [block for block in blocks(DOCS / "how-to/plugin.md") if block.info == info]
    assert block.body == (EXAMPLE / file).read_text()
    if info.startswith("python"):
        ast.parse(block.body)


@pytest.fixture
def example_plugin(monkeypatch: pytest.MonkeyPatch) -> plugins.Plugins:
    monkeypatch.syspath_prepend(EXAMPLE)
    entry_points = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"][
        PROJECT_NAME
    ]
    [(name, module)] = entry_points.items()
    point = SimpleNamespace(name=name, load=lambda: __import__(module))
    loaded = plugins.load({}, lambda: [point])
    assert loaded.broken == {}
    return loaded


CONFIG: Any = None
"""Not looked at."""


def lock_with(*packages: str) -> Any:
    artifact = Artifact("x.deb", "https://mirror.example.org/x.deb", "0" * 64, 1)
    return SimpleNamespace(system=tuple(Deb(name, "1", "amd64", artifact) for name in packages))


def test_the_plugin_of_the_how_to_works(example_plugin: plugins.Plugins) -> None:
    labels = example_plugin.image_labels(CONFIG, lock_with("figlet"))
    assert labels == [{"org.example.licences": "1 system packages checked"}]


def test_the_plugin_of_the_how_to_refuses(example_plugin: plugins.Plugins) -> None:
    with pytest.raises(LockError, match="ffmpeg may not be shipped"):
        example_plugin.image_labels(CONFIG, lock_with("figlet", "ffmpeg"))
