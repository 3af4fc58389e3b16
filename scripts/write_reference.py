# ruff: noqa: INP001, T201 - a script
"""Write the pages of docs/reference that say what the code says: the command line and the hooks.

::

    python scripts/write_reference.py           write them
    python scripts/write_reference.py --check   say whether they are up to date
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "hooks")]

from cog_nix.cli.app import application  # noqa: E402
from cog_nix.cli.commands import COMMANDS  # noqa: E402
from cog_nix.plugins import manager as plugins  # noqa: E402 - found with or without an installed cog-nix
from cog_nix.plugins import spec  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = ROOT / "docs/reference"
_NOTE = "<!-- Written by scripts/write_reference.py from the code: change it there, then run `make docs`. -->"
_PLACEHOLDERS: dict[type, str] = {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "PATH"}


@dataclass(frozen=True)
class _Parameter:
    """An option or argument, as a command's function declares it."""

    names: tuple[str, ...]
    """``--file``, ``-f``; for an argument its name in capitals."""
    info: Any
    """typer's OptionInfo or ArgumentInfo."""
    kind: type
    many: bool
    default: Any

    @property
    def is_argument(self) -> bool:
        return not self.names[0].startswith("-")

    @property
    def is_required(self) -> bool:
        return self.default is inspect.Parameter.empty


def command_line() -> str:
    """Return the page about the command line."""
    app = application(plugins.load({"COG_NIX_PLUGINS": "0"}))
    callback = app.registered_callback
    assert callback is not None  # noqa: S101 - for the type checker
    lines = ["# The command line", "", _NOTE, ""]
    lines += [
        "stdout is data, stderr is narration; the exit status is explained in",
        "[exit-codes.md](exit-codes.md).",
        "",
    ]
    lines += ["```text", _help(app.info.help), "```", ""]
    lines += ["These options stand before the command:", "", *_table(_parameters(callback.callback))]
    for name, command in sorted(COMMANDS.items()):
        parameters = _parameters(command.callback())
        lines += ["", f"## cog-nix {name}", "", _help(command.help), ""]
        lines += [*_usage(name, parameters), "", *_table(parameters)]
    return "\n".join(lines) + "\n"


def manual_page() -> str:
    """Return the manual page, in the macros of man(7)."""
    app = application(plugins.load({"COG_NIX_PLUGINS": "0"}))
    callback = app.registered_callback
    assert callback is not None  # noqa: S101 - for the type checker
    lines = [
        r".\" Written by scripts/write_reference.py from the code: change it there, then run `make docs`.",
        ".TH COG-NIX 1",
        *(".SH NAME", _roff("cog-nix - build Cog models into reproducible Docker images with Nix")),
        *(".SH SYNOPSIS", r"\fBcog\-nix\fR [\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGUMENT\fR ...]"),
        *(".SH DESCRIPTION", *_roff_help(app.info.help), ".SH OPTIONS"),
        *_roff_options(_parameters(callback.callback)),
        ".SH COMMANDS",
    ]
    for name, command in sorted(COMMANDS.items()):
        parameters = _parameters(command.callback())
        lines += [f".SS {_roff(' '.join(_usage(name, parameters)[1:-1]))}"]
        lines += [*_roff_help(command.help), *_roff_options(parameters)]
    lines += [".SH EXIT STATUS"]
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", (REFERENCE / "exit-codes.md").read_text(), re.MULTILINE)
    for status, meaning in rows:
        lines += [".TP", rf"\fB{status}\fR", _roff(meaning.replace("`", ""))]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Escape a line of text for man(7): backslashes, hyphens, and what begins a request."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("…", "...")
    return rf"\&{text}" if text.startswith((".", "'")) else text


def _roff_help(text: Any) -> list[str]:
    """Turn a help text into paragraphs, its examples into lines that keep their layout."""
    lines = []
    for block in re.split(r"\n\n+", inspect.cleandoc(text or "")):
        if block.startswith("\b\n"):
            lines += [".PP", ".nf", *(_roff(line) for line in block.splitlines()[1:]), ".fi"]
        else:
            lines += [".PP", *(_roff(line.strip()) for line in block.splitlines())]
    return lines


def _roff_options(parameters: list[_Parameter]) -> list[str]:
    lines = []
    for one in parameters:
        takes = one.kind is not bool and not one.is_argument
        value = rf" \fI{_placeholder(one.kind)}\fR" if takes else ""
        lines += [".TP", ", ".join(rf"\fB{_roff(name)}\fR" for name in one.names) + value]
        lines.append(_roff(re.sub(r"\s+", " ", one.info.help or "").strip()) or r"\&")
    return lines


def _help(text: Any) -> str:
    return inspect.cleandoc(text or "").replace("\b\n", "").strip()


def _parameters(function: Any) -> list[_Parameter]:
    hints = get_type_hints(function, include_extras=True)
    found = []
    for parameter in inspect.signature(function).parameters.values():
        hint, *metadata = (
            get_args(hints[parameter.name])[:2] if get_origin(hints[parameter.name]) is Annotated else (None,)
        )
        if metadata and not metadata[0].hidden:
            info = metadata[0]
            # In an Annotated, typer takes the first name for the default, and shifts it later.
            names = tuple(name for one in (info.default, *(info.param_decls or ())) for name in _names(one))
            kinds = [one for one in get_args(hint) if one is not type(None)] or [hint]
            many = get_origin(kinds[0]) is list
            kind = get_args(kinds[0])[0] if many else kinds[0]
            found.append(_Parameter(names or (parameter.name.upper(),), info, kind, many, parameter.default))
    return sorted(found, key=lambda one: not one.is_argument)


def _names(declared: Any) -> list[str]:
    return declared.split("/") if isinstance(declared, str) and declared.startswith("-") else []


def _usage(name: str, parameters: list[_Parameter]) -> list[str]:
    words = [
        f"{one.names[0] if one.is_required else f'[{one.names[0]}]'}{'…' if one.many else ''}"
        for one in parameters
        if one.is_argument
    ]
    return ["```text", " ".join(["cog-nix", name, "[OPTIONS]", *words]), "```"]


def _table(parameters: list[_Parameter]) -> list[str]:
    return ["| option | default | meaning |", "|---|---|---|", *map(_row, parameters)]


def _row(parameter: _Parameter) -> str:
    names = ", ".join(f"`{name}`" for name in parameter.names)
    if parameter.kind is not bool and not parameter.is_argument:
        names += f" `{_placeholder(parameter.kind)}`"
    environment = f" Also `{parameter.info.envvar}` in the environment." if parameter.info.envvar else ""
    return f"| {names} | {_default(parameter)} | {_cell(parameter.info.help)}{environment} |"


def _placeholder(kind: type) -> str:
    """Return what stands for a value; its choices, where it has some."""
    return "/".join(kind) if issubclass(kind, StrEnum) else _PLACEHOLDERS[kind]


def _default(parameter: _Parameter) -> str:
    if parameter.default in {None, inspect.Parameter.empty}:
        return ""
    if parameter.kind is bool:
        switch = len(parameter.names) > 1 and parameter.names[1].startswith("--no-")
        return f"`{parameter.names[0 if parameter.default else 1]}`" if switch else ""
    return f"`{parameter.default}`" if parameter.default != "" else ""


def _cell(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "").replace("|", "\\|").replace("<", "&lt;")


def hooks() -> str:
    """Return the page about the hooks and the values that go in and out."""
    lines = ["# Hooks", "", _NOTE, ""]
    lines += [
        "A plugin is a module or object whose functions carry `cog_nix.plugins.spec.hookimpl`;",
        "[the how-to](../how-to/plugin.md) has a complete one. A hook whose first answer counts stops at the",
        "first plugin that does not return `None`; installed plugins are asked before the built-in ones.",
        "Arguments that an implementation does not need may be left out of its signature.",
        "",
    ]
    for name, function in vars(spec.Spec).items():
        if inspect.isfunction(function):
            lines += _hook(name, function)
    lines += [
        "# Values",
        "",
        "What hooks are given and what they return, as `cog_nix.plugins.spec` defines it.",
        "",
    ]
    for value in _values():
        lines += _value(value)
    return "\n".join(lines).rstrip() + "\n"


def _hook(name: str, function: Any) -> list[str]:
    options = getattr(function, f"{spec.PROJECT_NAME}_spec")
    counts = "The first answer counts." if options["firstresult"] else "Every plugin is asked."
    signature = inspect.signature(function)
    parameters = [one for one in signature.parameters.values() if one.name != "self"]
    words = ", ".join(f"{one.name}: {one.annotation}" for one in parameters)
    called = f"def {name}({words}) -> {signature.return_annotation}"
    return [
        f"## {name}",
        "",
        "```python",
        called,
        "```",
        "",
        *_prose(inspect.getdoc(function) or ""),
        counts,
        "",
    ]


def _prose(docstring: str) -> Iterator[str]:
    """Turn a Google-style docstring into Markdown."""
    for block in re.split(r"\n\n+", docstring.replace("``", "`")):
        section = re.match(r"(Args|Returns|Raises):\n", block)
        if section is None:
            yield block
        else:
            yield f"{section[1]}:"
            yield ""
            joined = re.sub(r"\n {8,}", " ", block[section.end() :])
            for line in joined.splitlines():
                name, colon, text = line.strip().partition(": ")
                yield f"- `{name}`: {text}" if colon and section[1] != "Returns" else f"- {line.strip()}"
        yield ""


def _values() -> list[type]:
    own = [one for one in vars(spec).values() if inspect.isclass(one) and one.__module__ == spec.__name__]
    return [one for one in own if one is not spec.Spec]


def _value(value: type) -> list[str]:
    lines = [f"## {value.__name__}", "", *_prose(inspect.getdoc(value) or "")]
    tree = ast.parse(inspect.getsource(value)).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - for the type checker
    for position, node in enumerate(tree.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            following = tree.body[position + 1] if position + 1 < len(tree.body) else None
            lines.append(f"- `{node.target.id}: {ast.unparse(node.annotation)}`{_said(following)}")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            said = (ast.get_docstring(node) or "").partition("\n")[0]
            call = "" if node.decorator_list else f"({_arguments(node)})"
            lines.append(f"- `{node.name}{call}`: {said}".replace("``", "`"))
    return [*lines, ""]


def _arguments(node: ast.FunctionDef) -> str:
    arguments = [one for one in [*node.args.args, *node.args.kwonlyargs] if one.arg != "self"]
    return ", ".join(one.arg for one in arguments)


def _said(node: ast.stmt | None) -> str:
    """Return the docstring behind an attribute, if there is one."""
    if (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ):
        return ": " + re.sub(r"\s+", " ", node.value.value).replace("``", "`")
    return ""


def pages() -> dict[Path, str]:
    """Return the text of each generated page."""
    return {
        REFERENCE / "cli.md": command_line(),
        REFERENCE / "hooks.md": hooks(),
        REFERENCE / "cog-nix.1": manual_page(),
    }


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/reference.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail when a page is out of date"
    )
    check = parser.parse_args().check
    outdated = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    for path in outdated:
        print(f"{path.relative_to(ROOT)} {'is out of date' if check else 'written'}")
        if not check:
            path.write_text(pages()[path])
    return int(check and bool(outdated))


if __name__ == "__main__":
    sys.exit(main())
