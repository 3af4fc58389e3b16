"""The ``[debian]`` table of cog-nix.toml."""

from __future__ import annotations

from dataclasses import dataclass

from cog_nix.config import setting
from cog_nix.config.model import SystemSettings
from cog_nix.config.setting import Setting, SettingsTable


@dataclass(frozen=True)
class DebianSettings(SystemSettings):
    """Where Debian's packages come from."""

    mirror: str | None = None
    """Base URL of a Debian mirror; None: what the machine's apt sources name."""
    security_mirror: str | None = None
    additions: tuple[str, ...] = ("updates", "security")
    """Which suites a mirror has on top of each suite: ``trixie-updates``, ``trixie-security``."""
    snapshot: str | None = None
    """Base URL of a service that keeps the archive as it was at any time; None: the default."""
    check_valid_until: bool = True
    """Whether a Release file that has expired is refused, as apt's ``Check-Valid-Until``."""


_SUITES = DebianSettings.additions

TABLE = SettingsTable(
    "debian",
    DebianSettings,
    {
        "mirror": setting.url('mirror = "https://mirror.example.org/debian"'),
        "security_mirror": setting.url('security_mirror = "https://mirror.example.org/debian-security"'),
        "snapshot": setting.url('snapshot = "https://snapshot.example.org/archive"'),
        "suite": setting.text('suite = "trixie"', "the name of a Debian suite", "[a-z][a-z0-9-]*"),
        "cog_base": setting.switch("cog_base = true"),
        "additions": Setting(
            'additions = ["updates"], where a mirror has no security updates',
            f"a list of {' and '.join(_SUITES)}",
            lambda value: isinstance(value, list) and all(one in _SUITES for one in value),
            lambda value: tuple(one for one in _SUITES if one in value),
        ),
        "check_valid_until": setting.switch("check_valid_until = false"),
        "programs": setting.switch("programs = false"),
        "ignore_programs": setting.names('ignore_programs = ["sbatch"]', "a list of names of programs"),
    },
)
