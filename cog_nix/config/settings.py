"""cog-nix.toml becomes :class:`Settings`: the tables of the core, and those that plugins declare."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from typing import TYPE_CHECKING, Any, get_args

from cog_nix.config import setting
from cog_nix.config.model import Compression, Settings, WeightFile
from cog_nix.config.problem import Problem, config_error, did_you_mean
from cog_nix.config.references import is_place, is_url, overlap
from cog_nix.config.requirements import normalised
from cog_nix.config.setting import Setting, SettingsTable
from cog_nix.errors import UnreadableFileError
from cog_nix.system.duration import parse_duration
from cog_nix.system.platforms import PLATFORMS, parse_platform
from cog_nix.system.regular import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cog_nix.config.model import Check, Project

_LEAST_LAYERS = 8  # those that an image may have beside heavy wheels (cog_nix.lock.layers)
_MOST_LAYERS = 120
"""Docker stops at 127; the rest is for the layers of an image built on top of ours."""

_NAME = r"([0-9]{1,10}|[a-z_][a-z0-9_-]{0,31})"
"""Of a user or a group, or its number."""
_LARGEST_ID = 2097151
"""What a header of a tar holds (POSIX.1-2017, pax, ustar interchange format); also Docker's files have it."""


def load_settings(project: Project, declared: Iterable[SettingsTable] | None = None) -> Settings:
    """Read cog-nix.toml; without one, every setting has its default.

    Args:
        project: whose settings.
        declared: tables of plugins; of one name the first counts. None: tables that the core does not know
            are left to whoever asks the plugins.

    Raises:
        ConfigError: it is not TOML, has an unknown key, or a value of the wrong kind; all are told together.
    """
    path = project.settings_path
    declared, others = declared or (), declared is None
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except FileNotFoundError:
        return defaults(declared)
    except (OSError, UnicodeDecodeError) as error:
        hint = "Make it a UTF-8 text file, or remove it."
        raise UnreadableFileError(path.name, error, hint=hint) from error
    import tomllib  # noqa: PLC0415 - most projects have no such file, and this module runs at every edit

    try:
        data = tomllib.loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise config_error(path.name, text, [_syntax(error)]) from error
    tables = _by_name(declared) | _by_name(_tables())
    known = {*tables, "check"}
    problems = [] if others else [_unknown(text, name, "", known) for name in data.keys() - known]
    read = {name: _table(table, data, text, problems) for name, table in tables.items()}
    own = {table.name: read.pop(table.name) for table in _tables()}
    settings = Settings(**own, check=_checks(data, text, problems), tables=read)
    if problems:
        raise config_error(path.name, text, problems)
    return settings


def _checks(data: dict[str, Any], text: str, problems: list[Problem]) -> tuple[Check, ...]:
    if "check" not in data:
        return ()
    from cog_nix.config.checks import checks  # noqa: PLC0415 - most projects declare none

    return checks(data["check"], text, problems)


def defaults(declared: Iterable[SettingsTable]) -> Settings:
    """Return what counts where nothing is written.

    Args:
        declared: tables of plugins.
    """
    return Settings(tables={name: table.kind() for name, table in _by_name(declared).items()})


def _by_name(tables: Iterable[SettingsTable]) -> dict[str, SettingsTable]:
    """Return tables by name; of one name the first."""
    found: dict[str, SettingsTable] = {}
    for table in tables:
        found.setdefault(table.name, table)
    return found


def _tables() -> Iterator[SettingsTable]:
    """Yield the core's own tables."""
    for name, default in vars(Settings()).items():
        if name not in {"check", "tables"}:
            yield SettingsTable(name, type(default), _SETTINGS)


def _table(table: SettingsTable, data: dict[str, Any], text: str, problems: list[Problem]) -> Any:
    name, kind = table.name, table.kind
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
        rule = table.keys[key]
        if rule.fits(value):
            accepted[key] = rule.read(value)
        else:
            what = f"{name}.{key} must be {rule.must}"
            problems.append(Problem(_line(text, key, name), what, f"For example: {rule.example}"))
    return kind(**accepted)


def _is_user(value: Any) -> bool:
    """Tell whether it names a user and perhaps a group (image-spec, config.md, "User")."""
    if not isinstance(value, str) or not re.fullmatch(rf"{_NAME}(:{_NAME})?", value, re.ASCII):
        return False
    return all(int(one) <= _LARGEST_ID for one in value.split(":") if one.isdecimal())


def _is_date(value: Any) -> bool:
    """Tell whether it is one of TOML's own dates, or text that is one."""
    try:
        return isinstance(value, dt.date) or bool(dt.datetime.fromisoformat(value))
    except (TypeError, ValueError):
        return False


def _date(value: str | dt.date) -> str:
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return moment.isoformat().replace("+00:00", "Z")
    return value if isinstance(value, str) else value.isoformat()


def _are_weight_files(value: Any) -> bool:
    if not (isinstance(value, list) and all(map(_is_weight_file, value))):
        return False
    return not overlap([one["path"] for one in value])


def _is_weight_file(value: Any) -> bool:
    """Tell whether it is a table of what :class:`WeightFile` has, with values of the right kind."""
    known = {field.name for field in dataclasses.fields(WeightFile)}
    if not isinstance(value, dict) or not {"path", "url"} <= value.keys() <= known:
        return False
    path, url, sha256, mount = (value.get(key) for key in ("path", "url", "sha256", "mount"))
    return bool(
        isinstance(path, str)
        and is_place(path)
        and isinstance(url, str)
        and is_url(url)
        and (sha256 is None or (isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256)))
        and isinstance(mount, bool | None)
    )


_COMPRESSIONS = get_args(Compression)

_SETTINGS = {
    "mirror": setting.url('mirror = "https://mirror.example.org/python-build-standalone"'),
    "archives": Setting(
        'archives = ["https://archive.example.org/models"]',
        "a list of URLs that begin with http://, https:// or file://",
        lambda value: (
            setting.are_names(value)
            and all(re.fullmatch(setting.URL, url.strip(), re.ASCII) for url in value)
        ),
        lambda value: tuple(url.strip() for url in value),
    ),
    "exclude_newer": Setting("exclude_newer = 2026-01-31T00:00:00Z", "a date", _is_date, _date),
    "no_build_isolation": setting.packages('no_build_isolation = ["flash-attn"]'),
    "build_requires": Setting(
        'build_requires = { some-package = ["numpy<2"] }',
        "a table of lists of requirements by package name",
        lambda value: isinstance(value, dict) and all(map(setting.are_names, value.values())),
        lambda value: tuple(sorted((normalised(name), tuple(lines)) for name, lines in value.items())),
    ),
    "extras": setting.packages('extras = ["gpu"]'),
    "groups": setting.packages('groups = ["serve"]'),
    "legacy": setting.switch("legacy = true"),
    "heavy_bytes": setting.number("heavy_bytes = 20_000_000", "a number of bytes", 1),
    "budget": setting.number(
        "budget = 60", f"a number from {_LEAST_LAYERS} to {_MOST_LAYERS}", _LEAST_LAYERS, _MOST_LAYERS
    ),
    "packages": setting.names(
        'packages = ["./tool.nix", "github:owner/repository#tool"]',
        "a list of Nix files and flake references",
    ),
    "substituters": setting.matching(
        'substituters = ["https://cache.example.org"]',
        "a list of URLs: https://, http://, file://, s3://, ssh-ng:// or ssh://",
        r"(https?|file|s3|ssh-ng|ssh)://[^\s\x00-\x1f]+",
    ),
    "trusted_public_keys": setting.matching(
        'trusted_public_keys = ["cache.example.org-1:…"], what `cog-nix cache key` prints',
        "a list of public keys, NAME:KEY",
        r"[^\s:]+:[A-Za-z0-9+/]{43}=",
    ),
    "builders": setting.matching(
        'builders = ["ssh-ng://build.example.org"]',
        "a list of machines as Nix's `builders` has them, each with its URL first",
        r"(ssh-ng|ssh)://[^\s;]+( [^\s;]+){0,7}|@/\S+",
    ),
    "toolkit": Setting(
        'toolkit = true, or: toolkit = "12.4"',
        "true, false or a version of CUDA",
        lambda value: (
            isinstance(value, bool) or (isinstance(value, str) and re.fullmatch(r"\d+\.\d+", value))
        ),
    ),
    "compiler": setting.switch("compiler = false"),
    "keep": Setting(
        'keep = "10m"',
        "a time such as 90s, 10m or 1h",
        lambda value: isinstance(value, str) and parse_duration(value) is not None,
        parse_duration,
    ),
    "watch": setting.names('watch = ["prompts/*.json"]', "a list of patterns of files"),
    "user": Setting(
        'user = "1000:1000"',
        f"uid[:gid], with numbers up to {_LARGEST_ID}, or names of a user and a group in the image",
        _is_user,
    ),
    "compression": Setting(
        'compression = "zstd"',
        f"one of {', '.join(_COMPRESSIONS)}",
        lambda value: value in _COMPRESSIONS,
    ),
    "platforms": Setting(
        'platforms = ["linux/amd64", "linux/arm64"]',
        f"a list of {' and '.join(PLATFORMS)}",
        lambda value: setting.are_names(value) and value and all(map(parse_platform, value)),
        lambda value: tuple(dict.fromkeys(str(parse_platform(one)) for one in value)),
    ),
    "files": Setting(
        'files = [{ path = "unet.pth", url = "https://example.org/unet.pth" }]',
        "a list of tables, each with a path of its own, a url (https://… or hf://org/repo@revision/path) "
        "without credentials, and perhaps sha256 and mount",
        _are_weight_files,
        lambda value: tuple(WeightFile(**one) for one in value),
    ),
}
"""All keys, by their names, which differ between tables or mean the same."""


def _unknown(text: str, key: str, table: str, known: set[str]) -> Problem:
    shown = f"{table}.{key}" if table else key
    fix = did_you_mean(key, known) or f"Known are {', '.join(sorted(known))}."
    return Problem(_line(text, key, table), f'there is no setting "{shown}"', fix)


def _syntax(error: Exception) -> Problem:
    match = re.search(r"^(.*) \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    reason = match[1] if match else str(error)
    line = int(match[2]) if match and match[2] else 0
    return Problem(line, f"this is not TOML: {reason}", 'A setting is written: key = "value"')


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
