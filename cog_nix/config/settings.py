"""cog-nix.toml becomes :class:`Settings`."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from typing import TYPE_CHECKING, Any, TypeVar

from cog_nix.config.model import (
    DebianSettings,
    GpuSettings,
    LayerSettings,
    NixSettings,
    PythonSettings,
    Settings,
)
from cog_nix.config.problem import Problem, config_error, did_you_mean
from cog_nix.config.requirements import normalised
from cog_nix.errors import ConfigError
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.config.model import Project

_LEAST_LAYERS = 8  # those that an image may have beside heavy wheels (cog_nix.lock.layers)
_MOST_LAYERS = 120
"""Docker stops at 127; the rest is for the layers of an image built on top of ours."""

_Table = TypeVar("_Table", DebianSettings, PythonSettings, LayerSettings, NixSettings, GpuSettings)


def load_settings(project: Project) -> Settings:
    """Read cog-nix.toml; without one, every setting has its default.

    Args:
        project: whose settings.

    Raises:
        ConfigError: it is no TOML, has an unknown key, or a value of the wrong kind; all are told together.
    """
    path = project.settings_path
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path.name}: cannot be read: {error}", hint="Make it a UTF-8 text file, or remove it."
        ) from error
    import tomllib  # noqa: PLC0415 - most projects have no such file, and this module runs at every edit

    try:
        data = tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise config_error(path.name, text, [_syntax(error)]) from error
    tables = {field.name for field in dataclasses.fields(Settings)}
    problems = [_unknown(text, name, "", tables) for name in data.keys() - tables]
    settings = Settings(
        debian=_table(DebianSettings, "debian", data, text, problems),
        python=_table(PythonSettings, "python", data, text, problems),
        layers=_table(LayerSettings, "layers", data, text, problems),
        nix=_table(NixSettings, "nix", data, text, problems),
        gpu=_table(GpuSettings, "gpu", data, text, problems),
    )
    if problems:
        raise config_error(path.name, text, problems)
    return settings


def _table(kind: type[_Table], name: str, data: dict[str, Any], text: str, problems: list[Problem]) -> _Table:
    values = data.get(name, {})
    if not isinstance(values, dict):
        problems.append(Problem(_line(text, name, ""), f"{name} must be a table", f"Write: [{name}]"))
        return kind()
    known = {field.name for field in dataclasses.fields(kind)}
    accepted = {}
    for key, value in values.items():
        if key not in known:
            problems.append(_unknown(text, key, name, known))
            continue
        converted, trouble = _CHECKS[key](value)
        if trouble:
            problems.append(
                Problem(_line(text, key, name), f"{name}.{key} must be {trouble}", _EXAMPLES[key])
            )
        else:
            accepted[key] = converted
    return kind(**accepted)


def _url(value: Any) -> tuple[Any, str]:
    ok = isinstance(value, str) and re.match(r"(https?|file)://\S+$", value)
    return value, "" if ok else "a URL that begins with http://, https:// or file://"


def _suite(value: Any) -> tuple[Any, str]:
    ok = isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9-]*", value)
    return value, "" if ok else "the name of a Debian suite"


def _switch(value: Any) -> tuple[Any, str]:
    return value, "" if isinstance(value, bool) else "true or false"


def _date(value: Any) -> tuple[Any, str]:
    """Take TOML's own dates, and text that is one."""
    if isinstance(value, str):
        try:
            dt.datetime.fromisoformat(value)
        except ValueError:
            return value, "a date"
        return value, ""
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return moment.isoformat().replace("+00:00", "Z"), ""
    return (value.isoformat(), "") if isinstance(value, dt.date) else (value, "a date")


def _bytes(value: Any) -> tuple[Any, str]:
    ok = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return value, "" if ok else "a number of bytes"


def _budget(value: Any) -> tuple[Any, str]:
    ok = isinstance(value, int) and not isinstance(value, bool) and _LEAST_LAYERS <= value <= _MOST_LAYERS
    return value, "" if ok else f"a number from {_LEAST_LAYERS} to {_MOST_LAYERS}"


def _toolkit(value: Any) -> tuple[Any, str]:
    ok = isinstance(value, bool) or (isinstance(value, str) and re.fullmatch(r"\d+\.\d+", value))
    return value, "" if ok else "true, false or a version of CUDA"


def _flag(value: Any) -> tuple[Any, str]:
    return value, "" if isinstance(value, bool) else "true or false"


def _additions(value: Any) -> tuple[Any, str]:
    known = DebianSettings.additions
    ok = isinstance(value, list) and all(one in known for one in value)
    return (
        (tuple(one for one in known if one in value), "")
        if ok
        else (value, f"a list of {' and '.join(known)}")
    )


def _references(value: Any) -> tuple[Any, str]:
    if not _is_names(value):
        return value, "a list of Nix files and flake references"
    return tuple(one.strip() for one in value), ""


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and name.strip() for name in value)


def _packages(value: Any) -> tuple[Any, str]:
    ok = _is_names(value)
    return (tuple(map(normalised, value)), "") if ok else (value, "a list of package names")


def _requirements(value: Any) -> tuple[Any, str]:
    ok = isinstance(value, dict) and all(map(_is_names, value.values()))
    if not ok:
        return value, "a table of lists of requirements by package name"
    return tuple(sorted((normalised(name), tuple(lines)) for name, lines in value.items())), ""


def _programs(value: Any) -> tuple[Any, str]:
    ok = _is_names(value)
    return (tuple(one.strip() for one in value), "") if ok else (value, "a list of names of programs")


_CHECKS: dict[str, Callable[[Any], tuple[Any, str]]] = {
    "mirror": _url,
    "security_mirror": _url,
    "suite": _suite,
    "cog_base": _switch,
    "additions": _additions,
    "check_valid_until": _switch,
    "programs": _flag,
    "ignore_programs": _programs,
    "exclude_newer": _date,
    "no_build_isolation": _packages,
    "build_requires": _requirements,
    "extras": _packages,
    "groups": _packages,
    "legacy": _switch,
    "heavy_bytes": _bytes,
    "budget": _budget,
    "packages": _references,
    "toolkit": _toolkit,
    "compiler": _flag,
}

_EXAMPLES = {
    "mirror": 'For example: mirror = "https://mirror.example.org/debian"',
    "security_mirror": 'For example: security_mirror = "https://mirror.example.org/debian-security"',
    "suite": 'For example: suite = "trixie"',
    "cog_base": "For example: cog_base = true",
    "additions": 'For example, where a mirror has no security updates: additions = ["updates"]',
    "check_valid_until": "For example: check_valid_until = false",
    "programs": "For example: programs = false",
    "ignore_programs": 'For example: ignore_programs = ["sbatch"]',
    "no_build_isolation": 'For example: no_build_isolation = ["flash-attn"]',
    "build_requires": 'For example: build_requires = { some-package = ["numpy<2"] }',
    "extras": 'For example: extras = ["gpu"]',
    "groups": 'For example: groups = ["serve"]',
    "legacy": "For example: legacy = true",
    "exclude_newer": "For example: exclude_newer = 2026-01-31T00:00:00Z",
    "heavy_bytes": "For example: heavy_bytes = 20_000_000",
    "budget": "For example: budget = 60",
    "compiler": "For example: compiler = false",
    "packages": 'For example: packages = ["./tool.nix", "github:owner/repository#tool"]',
    "toolkit": 'For example: toolkit = true, or: toolkit = "12.4"',
}


def _unknown(text: str, key: str, table: str, known: set[str]) -> Problem:
    shown = f"{table}.{key}" if table else key
    fix = did_you_mean(key, known) or f"Known are {', '.join(sorted(known))}."
    return Problem(_line(text, key, table), f'there is no setting "{shown}"', fix)


def _syntax(error: Exception) -> Problem:
    match = re.search(r"^(.*) \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    reason = match[1] if match else str(error)
    line = int(match[2]) if match and match[2] else 0
    return Problem(line, f"this is no TOML: {reason}", 'A setting is written: key = "value"')


def _line(text: str, key: str, table: str) -> int:
    """Return the line where a key is written, which tomllib does not tell; 0 when it is not found."""
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*\"?([^\]\"]+?)\"?\s*\]", line)
        if header:
            current = header[1]
        wanted = rf"\s*(\"?{re.escape(table)}\"?\s*\.\s*)?[\"']?{re.escape(key)}[\"']?\s*[.=]"
        if (header and not table and current.partition(".")[0] == key) or (
            re.match(wanted, line) and current in {table, ""} and (current == table or table in line)
        ):
            return number
    return 0
