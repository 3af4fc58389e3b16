"""Where the Debian archive is: configured, or what the machine's own apt uses (sources.list(5)).

The code knows no mirror. In this order:

1. ``[debian] mirror`` and ``security_mirror`` in cog-nix.toml;
2. the environment: ``COG_NIX_DEBIAN_MIRROR`` and ``COG_NIX_DEBIAN_SECURITY_MIRROR``;
3. apt's sources on this machine, when they have Debian and not one of its descendants;
4. :data:`DEFAULTS`, which is written when a wheel is built, or cog-nix is installed from a checkout: what the
   first three say there and then.

A service that keeps the archive as it was (a snapshot) is looked up in the same order; apt names none.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import url2pathname

from cog_nix.fetch import urls
from cog_nix.system import jsonvalue
from cog_nix.system.jsonvalue import text_of

from .errors import MirrorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .settings import DebianSettings

MIRROR_VARIABLE = "COG_NIX_DEBIAN_MIRROR"
SECURITY_VARIABLE = "COG_NIX_DEBIAN_SECURITY_MIRROR"
SNAPSHOT_VARIABLE = "COG_NIX_DEBIAN_SNAPSHOT"
DEFAULTS = Path(__file__).with_name("mirrors.json")
_APT = Path("/etc/apt")
_CODENAMES = ("bullseye", "bookworm", "trixie", "forky", "sid")
_ALIASES = ("oldoldstable", "oldstable", "stable", "testing", "unstable")
_SECURITY_SUFFIX = "-security"
_NO = {"no", "false", "0", "off", "without", "disable"}
_ONE_LINE = re.compile(
    r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$"
)


@dataclass(frozen=True)
class Archive:
    """Base URLs without a slash at the end."""

    main: str
    security: str
    origin: str
    """Who named them, for messages."""


@dataclass(frozen=True)
class _Source:
    """One entry of apt's sources."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    keyring: str

    @property
    def _signed_by_debian(self) -> bool:
        return "debian-archive" in self.keyring

    @property
    def _by_codename(self) -> bool:
        return any(suite.removesuffix(_SECURITY_SUFFIX) in _CODENAMES for suite in self.suites)

    @property
    def rank(self) -> tuple[bool, bool]:
        """Order of trust that this is Debian's archive and not another that uses its suite names."""
        return (not self._signed_by_debian, not self._by_codename)

    @property
    def may_be_debian(self) -> bool:
        """Whether more than an alias speaks for Debian: other archives have a suite ``stable``, too."""
        folder = urls.split(self.uri).path.rpartition("/")[2]
        return self._signed_by_debian or self._by_codename or folder.startswith("debian")


def find_archive(
    settings: DebianSettings, environment: Mapping[str, str], apt: Path = _APT, defaults: Path = DEFAULTS
) -> Archive:
    """Find the archive's base URLs.

    Args:
        settings: the ``[debian]`` table.
        environment: variables of the process.
        apt: apt's configuration folder.
        defaults: a file that names mirrors where nothing else does.

    Raises:
        MirrorError: nothing names a mirror, or one is named with credentials.
    """
    found = next(find_archives(settings, environment, apt, defaults), None)
    if found is None:
        problem = f"No Debian mirror is known: apt's sources on this machine ({apt}) name none."
        raise MirrorError("", "", problem)
    return found


def find_archives(
    settings: DebianSettings, environment: Mapping[str, str], apt: Path = _APT, defaults: Path = DEFAULTS
) -> Iterator[Archive]:
    """Yield the archive's base URLs that anything names, first what counts first; as :func:`find_archive`.

    Raises:
        MirrorError: one is named with credentials.
    """
    if settings.mirror:
        yield _configured(settings.mirror, settings.security_mirror, "[debian] mirror in cog-nix.toml")
    security = settings.security_mirror or environment.get(SECURITY_VARIABLE)
    if mirror := environment.get(MIRROR_VARIABLE):
        yield _configured(mirror, security, MIRROR_VARIABLE)
    sources = sorted(_usable(apt), key=lambda source: source.rank)
    securities = [source.uri for source in sources if any(map(_is_security, source.suites))]
    for source in sources:
        if any(map(is_debian, source.suites)):
            found = security or next(iter(securities), None)
            yield _configured(source.uri, found, "this machine's apt sources")
    if default := _default(defaults):
        yield default


def find_snapshot(
    settings: DebianSettings,
    environment: Mapping[str, str],
    archives: Iterable[Archive] = (),
    defaults: Path = DEFAULTS,
) -> str | None:
    """Return the base URL of a service that keeps the archive as it was; None: none is known.

    Its layout is that of Debian's own: ``BASE/debian/20260131T000000Z/pool/…``, and ``debian-security``.
    Debian has it beside its mirrors: where one is ``deb.DOMAIN``, the service is ``snapshot.DOMAIN``.

    Args:
        settings: the ``[debian]`` table.
        environment: variables of the process.
        archives: mirrors that it may be beside, where nothing names it.
        defaults: a file that may name one.
    """
    named = settings.snapshot or environment.get(SNAPSHOT_VARIABLE)
    if not named:
        with suppress(OSError, ValueError, KeyError, TypeError):
            named = text_of(jsonvalue.loads(defaults.read_bytes())["snapshot"])
    if not named:
        hosts = ((urls.split(one.main).scheme, urls.host_of(one.main)) for one in archives)
        beside = (
            f"{scheme}://snapshot.{host.removeprefix('deb.')}/archive"
            for scheme, host in hosts
            if host.startswith("deb.")
        )
        named = next(beside, None)
    return named.rstrip("/") if named else None


def _configured(main: str, security: str | None, origin: str) -> Archive:
    if any("@" in urls.split(one).netloc for one in (main, security or "")):
        # The lock names its mirrors, and is for everybody to read.
        raise MirrorError(
            urls.without_credentials(main),
            "",
            f"A Debian mirror is named with a user or a password ({origin}), which would get into the lock.",
            hint="Name it without, and put them into ~/.netrc.",
        )
    base = main.rstrip("/")
    # Mirrors that carry both keep them side by side, as debian and debian-security.
    return Archive(base, security.rstrip("/") if security else f"{base}{_SECURITY_SUFFIX}", origin)


def _default(path: Path) -> Archive | None:
    try:
        named = jsonvalue.loads(path.read_bytes())
        return Archive(text_of(named["mirror"]), text_of(named["security_mirror"]), "the default")
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_debian(suite: str) -> bool:
    """Tell whether a suite is one of Debian's, by codename or alias."""
    return suite in _CODENAMES or suite in _ALIASES


def _is_security(suite: str) -> bool:
    return suite.endswith(_SECURITY_SUFFIX) and is_debian(suite.removesuffix(_SECURITY_SUFFIX))


def _usable(apt: Path) -> Iterator[_Source]:
    for source in _read_all(apt):
        uri = _follow_mirror_list(source.uri)
        if uri and urls.split(uri).scheme in ("http", "https", "file") and "main" in source.components:
            found = replace(source, uri=uri.rstrip("/"))
            if found.may_be_debian:
                yield found


def _follow_mirror_list(uri: str) -> str | None:
    """Take the first URL of a ``mirror+file:`` list, as Debian's cloud images use (apt-transport-mirror)."""
    if not uri.startswith("mirror+file:"):
        return uri
    path = Path(url2pathname(urls.split(uri.removeprefix("mirror+")).path))
    lines: list[str] = []
    with suppress(OSError):
        lines = path.read_text("utf-8", "replace").splitlines()
    return next((line.split()[0] for line in lines if line.strip() and not line.startswith("#")), None)


def _read_all(apt: Path) -> Iterator[_Source]:
    """Read sources.list and sources.list.d in apt's order."""
    folder = apt / "sources.list.d"
    extra = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in [apt / "sources.list", *extra]:
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        text = path.read_text("utf-8", "replace")
        yield from _read_deb822(text) if path.suffix == ".sources" else _read_one_line(text)


def _read_one_line(text: str) -> Iterator[_Source]:
    for line in text.splitlines():
        if found := _ONE_LINE.match(line.partition("#")[0].strip()):
            yield _Source(
                found["uri"], (found["suite"],), tuple(found["components"].split()), found["options"] or ""
            )


def _read_deb822(text: str) -> Iterator[_Source]:
    from debian.deb822 import Deb822  # noqa: PLC0415 - slow to import, and few machines have such files

    for entry in Deb822.iter_paragraphs(text.splitlines(), use_apt_pkg=False):
        if entry.get("Enabled", "yes").strip().lower() in _NO or "deb" not in entry.get("Types", "").split():
            continue
        suites = tuple(entry.get("Suites", "").split())
        components = tuple(entry.get("Components", "").split())
        for uri in entry.get("URIs", "").split():
            yield _Source(uri, suites, components, entry.get("Signed-By", ""))
