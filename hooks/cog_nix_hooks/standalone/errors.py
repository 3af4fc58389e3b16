"""Why there is no build of a Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.errors import LockError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cog_nix.errors import FetchError


class UnknownPythonError(LockError):
    """Nobody has a build of a version.

    Args:
        version: that is asked for.
        uv: whose list was looked into, by its version.
        near: versions that there are.
        platform: that it would run on.
    """

    def __init__(self, version: str, uv: str, near: Sequence[str], platform: str) -> None:
        super().__init__(
            f"There is no Python {version} for {platform} that cog-nix could take: neither"
            f" Debian nor the list of uv {uv} has it.",
            hint=f"Near it are {', '.join(near) or 'none'}. "
            "A newer uv may know more:  pip install --upgrade uv\n"
            "For a build of your own, name a list with it in UV_PYTHON_DOWNLOADS_JSON_URL.",
        )
        self.version, self.near, self.platform = version, tuple(near), platform


class PythonDownloadError(LockError):
    """A build cannot be downloaded."""

    def __init__(self, version: str, cause: FetchError) -> None:
        lines = [
            *([cause.hint] if cause.hint else []),
            "It is one of the builds that uv installs. Where they cannot be reached, name a mirror of them:",
            '  mirror = "https://mirror.example.org/pythons"    under [python] in cog-nix.toml, or',
            "  UV_PYTHON_INSTALL_MIRROR in the environment; a file:// URL of a folder will do.",
        ]
        super().__init__(f"Python {version} cannot be downloaded: {cause.message}", hint="\n".join(lines))
        self.version, self.cause = version, cause


class PythonListError(LockError):
    """uv's list of builds cannot be had."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, hint="Check UV_PYTHON_DOWNLOADS_JSON_URL and uv.toml.")
