"""Which folder of ``cog_nix`` may import which: those below it, and modules never in a circle.

And where tests are: ``tests/X`` has those of ``cog_nix/X``, ``tests/hooks/X`` those of the plugin ``X``.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.cli.commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
STOREYS = (
    ("errors", "report"),
    ("system",),
    ("config",),
    ("signature",),
    ("weights",),
    ("project",),
    ("lock",),
    ("fetch",),
    ("programs",),
    ("elf",),
    ("cdi",),
    ("namespaces",),
    ("store",),
    ("image",),
    ("registry",),
    ("archive",),
    ("managed",),
    ("plugins", "spec"),
    ("container",),
    ("runtime",),
    ("keep",),
    ("run_commands",),
    ("resolve",),
    ("bom",),
    ("build",),
    ("compare",),
    ("explain",),
    ("doctor", "check", "playground", "watch"),
    ("cli", "__main__"),
)
"""From the ground up; folders of one storey do not know each other."""
FRONT_DOORS = {("spec", "plugins"), ("__main__", "cli")}
"""Old and other names of what is behind them."""
SUITES = {
    "builders": "the modules of nix/builders, which run inside derivations",
    "docs": "what the manual says",
    "examples": "the examples, built and asked for a prediction",
    "faults": "commands that are ended anywhere, broken downloads, full disks",
    "fuzz": "broken input for whatever reads",
    "isolation": "what a build may do to its host",
    "machines": "`make demo` on fresh Debian machines",
    "nix": "the Nix library, and whole builds",
    "platforms": "an image for another processor, from its lock to an index in a registry",
    "probes": "programs that other suites start inside builds and containers",
    "runtimes": "containers and predictions in every runtime",
}
"""Folders of ``tests`` that belong to no single folder of the product."""


MAKERS = re.compile(r"debian|ubuntu|trixie|bookworm|dpkg|libc6|nvidia|\bapt\b", re.IGNORECASE)
"""Names of a distribution, its programs, and a maker of GPUs, which plugins know."""
KNOWN = {
    "cdi": "the form in which this machine describes such GPUs, for every plugin that runs containers",
    "cli/commands": "what can be explained with the plugins that are built in",
    "config/environment": "the variables that images of upstream have",
    "lock": "the lock's format: its system packages are .deb files",
    "namespaces/emulation": "how a machine gets an emulator",
    "plugins/manager": "the built-in plugins",
    "programs/missing": "how a user finds the package of a program",
    "project/template": "the words of a new cog.yaml",
    "store/choice": "how a machine gets Nix",
    "store/failures": "how a user finds the package of a header",
    "system/platforms": "the names of processors",
}
"""Modules and folders of ``cog_nix`` that have such names nevertheless, and why."""


def modules() -> dict[str, Path]:
    """Return the core's modules by dotted name."""
    found = {}
    for path in (ROOT / "cog_nix").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules that a file imports, in functions and for types as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found.update(name if name in known else node.module for name in names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


@cache
def all_imports() -> dict[str, set[str]]:
    """Return what each module of the core imports, by its name."""
    known = modules()
    return {name: imports(path, known) - {name} for name, path in known.items()}


STOREY = {folder: number for number, folders in enumerate(STOREYS) for folder in folders}


def folder_of(module: str) -> str:
    return module.split(".")[1]


def test_every_folder_has_its_storey() -> None:
    assert {folder_of(name) for name in all_imports() if name != "cog_nix"} == STOREY.keys()


def test_no_import_leads_upwards() -> None:
    wrong = []
    for name, imported in all_imports().items():
        for other in (imported & all_imports().keys()) - {"cog_nix"}:
            ours, theirs = folder_of(name), folder_of(other)
            if ours != theirs and STOREY[theirs] >= STOREY[ours] and (ours, theirs) not in FRONT_DOORS:
                wrong.append(f"{name} imports {other}")
    assert not wrong


def test_the_core_imports_no_plugin() -> None:
    wrong = {
        name for name, imported in all_imports().items() if any("cog_nix_hooks" in one for one in imported)
    }
    assert not wrong


def said(tree: ast.Module) -> Iterator[str]:
    """Yield the names and the texts of a module's code, without docstrings and comments."""
    docs = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if node not in docs:
                yield text
            case ast.Constant(value=bytes(data)):
                yield data.decode("latin-1")
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.keyword(arg=str(name)):
                yield name


@cache
def with_makers() -> dict[str, set[str]]:
    """Return the names of distributions and makers that each module of the core has, by its path."""
    found: dict[str, set[str]] = {}
    for path in modules().values():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if names := {one for one in said(tree) if MAKERS.search(one)}:
            found[path.relative_to(ROOT / "cog_nix").with_suffix("").as_posix()] = names
    return found


def test_the_core_knows_no_distribution_and_no_maker_of_gpus() -> None:
    wrong = {
        name: words
        for name, words in with_makers().items()
        if not {name, name.partition("/")[0]} & KNOWN.keys()
    }
    assert not wrong


def test_what_the_core_may_know_is_there() -> None:
    there = {part for name in with_makers() for part in (name, name.partition("/")[0])}
    assert not KNOWN.keys() - there


def test_no_command_imports_another() -> None:
    commands = {f"cog_nix.cli.{command.target.partition(':')[0]}" for command in COMMANDS.values()}
    wrong = {name: found for name in commands if (found := all_imports()[name] & commands)}
    assert not wrong


def test_no_modules_import_each_other() -> None:
    left = {name: imported & all_imports().keys() for name, imported in all_imports().items()}
    while free := {name for name, imported in left.items() if not imported & left.keys()}:
        left = {name: imported for name, imported in left.items() if name not in free}
    assert not left  # what is left imports what is in a circle, or is in one


def test_tests_are_where_their_code_is() -> None:
    names = {path.name for path in (ROOT / "tests").iterdir() if any(path.rglob("*.py"))}
    product = {folder.name for folder in (ROOT / "cog_nix").iterdir() if folder.is_dir()}
    assert names - product - SUITES.keys() == {"hooks"}
    plugins = {folder.name for folder in (ROOT / "hooks/cog_nix_hooks").iterdir() if folder.is_dir()}
    assert {path.name for path in (ROOT / "tests/hooks").iterdir() if any(path.rglob("*.py"))} <= plugins
    assert not SUITES.keys() - names
