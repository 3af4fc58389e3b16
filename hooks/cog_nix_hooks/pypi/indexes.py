"""Where packages come from on this machine: what uv reads by itself, and what only pip is told.

uv knows its own variables and ``uv.toml``, but not pip's. Where nothing of uv's names an index, pip's
configuration (``PIP_*`` variables, then ``pip.conf``) is translated. pip's ``find-links`` are left out: a
lock that names files of one machine is no lock.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cog_nix.fetch import urls
from cog_nix.system import processes
from cog_nix_hooks.pypi.lines import parse, url_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cog_nix_hooks.pypi.lines import Lines

_UV_INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_UV_INDEX_KEYS = {"index", "index-url", "extra-index-url"}
_CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE")
_SDK_VARIABLES = ("COG_SDK_WHEEL", "COGLET_WHEEL")
_KEYRING_PROVIDERS = {"subprocess", "import", "auto"}
# These would change what is asked, or contradict an argument.
_DROPPED = (
    "COLUMNS",  # uv breaks the lines of what it says by it, and they are read
    "UV_SYSTEM_PYTHON",
    "UV_PYTHON",
    "UV_PYTHON_DOWNLOADS",
    "UV_NO_BINARY",
    "UV_NO_BUILD",
    "UV_ONLY_BINARY",
    "UV_CONFIG_SETTINGS",
    "UV_TORCH_BACKEND",
)


@dataclass(frozen=True)
class PipConfig:
    """What pip is told about its indexes."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    cert: str | None = None
    proxy: str | None = None
    timeout: str | None = None


def uv_environment(lines: Lines, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that makes uv use the same indexes as pip would.

    Indexes travel in variables, not arguments: arguments can be read by every user of the machine.

    Args:
        lines: the requirements file's own options; they win.
        environ: the environment of this process.
    """
    env = {name: value for name, value in environ.items() if name not in _DROPPED}
    # Whatever Python uv finds, it only reads metadata with it; fetching one would be in vain.
    env |= {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
    pip = pip_config(environ)
    if not uv_has_indexes(environ):
        _set_indexes(env, pip.index_url, pip.extra_index_urls)
    _set_indexes(env, lines.index, lines.extra)
    if env.get("UV_INDEX") or env.get("UV_EXTRA_INDEX_URL"):
        # pip considers all indexes alike, and so do the projects that were written for it. With a single
        # index it makes no difference, except that uv keeps quiet about refused credentials.
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    trusted = [env.get("UV_INSECURE_HOST", ""), *pip.trusted_hosts, *lines.trusted]
    _set_default(env, "UV_INSECURE_HOST", " ".join(filter(None, trusted)), replace=True)
    certificates = [*(environ.get(name) for name in _CERTIFICATE_VARIABLES), pip.cert]
    if "SSL_CERT_DIR" not in env:
        _set_default(env, "SSL_CERT_FILE", next(filter(None, certificates), None))
    if environ.get("PIP_KEYRING_PROVIDER") in _KEYRING_PROVIDERS:
        env.setdefault("UV_KEYRING_PROVIDER", "subprocess")
    if not any(name in env for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        _set_default(env, "ALL_PROXY", pip.proxy)
    _set_default(env, "UV_HTTP_TIMEOUT", pip.timeout)
    return env


def credentialed_urls(lines: Iterable[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the URLs that carry a user and password, for the fetcher to know them.

    They come from requirement lines, from uv's and pip's configuration, and where only a user is named, from
    the keyring, if uv or pip is told to ask it.

    Args:
        lines: requirement and option lines; ``${NAME}`` in them is expanded.
        environ: the environment of this process.
    """
    known = parse(lines, "requirements", environ)
    pip = pip_config(environ)
    found = [pip.index_url or "", *pip.extra_index_urls, known.index or "", *known.extra, *known.find_links]
    found += [url_of(requirement).removeprefix("git+") for requirement in known.requirements]
    found += [environ.get(name, "") for name in _SDK_VARIABLES]
    for name in _UV_INDEX_VARIABLES:
        found += [_with_named_credentials(index, environ) for index in environ.get(name, "").split()]
    with_user = dict.fromkeys(url for url in found if urls.credentials_in(url))
    return tuple(_from_keyring(url, environ) for url in with_user)


def authorised(url: str, known: Iterable[str]) -> str:
    """Return a URL with the credentials that are known for its origin, for a single request."""
    origin = urls.origin(url)
    for one in known:
        pair = urls.credentials_in(one)
        if pair and urls.origin(one) == origin and not urls.credentials_in(url):
            return _with_credentials(url, pair)
    return url


def _with_named_credentials(index: str, environ: Mapping[str, str]) -> str:
    """Return the URL of ``name=URL`` with what ``UV_INDEX_NAME_USERNAME`` and ``…_PASSWORD`` say."""
    name, equals, url = index.partition("=")
    if not equals or "://" in name:
        return index
    prefix = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
    user, password = environ.get(f"{prefix}_USERNAME"), environ.get(f"{prefix}_PASSWORD")
    return _with_credentials(url, (user or "", password or "")) if user or password else url


def _from_keyring(url: str, environ: Mapping[str, str]) -> str:
    """Complete a URL that names a user only, as uv does: the keyring is asked for URL, then host."""
    user, password = urls.credentials_in(url) or ("", "")
    asked = {environ.get("UV_KEYRING_PROVIDER"), environ.get("PIP_KEYRING_PROVIDER")} & _KEYRING_PROVIDERS
    if password or not user or not asked or not shutil.which("keyring", path=environ.get("PATH")):
        return url
    for service in (urls.without_credentials(url), urls.host_of(url)):
        finished = processes.run(["keyring", "get", service, user], env=environ, check=False)
        if finished.returncode == 0 and finished.stdout.strip():
            return _with_credentials(url, (user, finished.stdout.strip()))
    return url


def _with_credentials(url: str, pair: urls.Credentials) -> str:
    scheme, separator, rest = urls.without_credentials(url).partition("://")
    user, password = (quote(part, safe="") for part in pair)
    return f"{scheme}{separator}{user}:{password}@{rest}"


def uv_has_indexes(environ: Mapping[str, str]) -> bool:
    """Whether uv itself is told of an index, by a variable or in ``uv.toml``."""
    if any(environ.get(name) for name in _UV_INDEX_VARIABLES):
        return True
    for path in uv_files(environ):
        try:
            known = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue  # missing, or uv will say what is wrong with it
        if _UV_INDEX_KEYS & {*known, *(known["pip"] if isinstance(known.get("pip"), dict) else ())}:
            return True
    return False


def pip_config(environ: Mapping[str, str]) -> PipConfig:
    """Read pip's configuration as pip does: files from general to special, then variables."""
    known: dict[str, str] = {}
    for path in _pip_files(environ):
        known |= _pip_section(path)
    for name in ("index-url", "extra-index-url", "trusted-host", "cert", "proxy", "timeout"):
        for variable in (f"PIP_{name.upper().replace('-', '_')}", "PIP_DEFAULT_TIMEOUT"):
            if environ.get(variable) and (variable != "PIP_DEFAULT_TIMEOUT" or name == "timeout"):
                known[name] = environ[variable]
    return PipConfig(
        index_url=known.get("index-url"),
        extra_index_urls=tuple(known.get("extra-index-url", "").split()),
        trusted_hosts=tuple(known.get("trusted-host", "").split()),
        cert=known.get("cert"),
        proxy=known.get("proxy"),
        timeout=known.get("timeout") or known.get("default-timeout"),
    )


def _pip_section(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, configparser.Error):
        return {}  # missing, or pip will say what is wrong with it
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    return found


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = Path(environ.get("HOME", "/nonexistent"))
    for folder in reversed((environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")):
        yield Path(folder) / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield _config_home(environ) / "pip" / "pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if named:
        yield Path(named)


def uv_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the configuration files of uv, from general to special; some may be missing."""
    named = environ.get("UV_CONFIG_FILE")
    if named:
        yield Path(named)
        return
    if environ.get("UV_NO_CONFIG"):
        return
    yield Path("/etc/uv/uv.toml")
    yield _config_home(environ) / "uv" / "uv.toml"


def _config_home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/nonexistent")) / ".config")


def _set_indexes(env: dict[str, str], default: str | None, extra: tuple[str, ...]) -> None:
    if default:
        env.pop("UV_INDEX_URL", None)
        env["UV_DEFAULT_INDEX"] = default
    if extra:
        env["UV_INDEX"] = " ".join([*env.get("UV_INDEX", "").split(), *extra])


def _set_default(env: dict[str, str], name: str, value: str | None, *, replace: bool = False) -> None:
    if value and (replace or not env.get(name)):
        env[name] = value
