"""Security holes that newer packages close, read in packages that Debian's own program made."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.config.model import Settings
from cog_nix.lock.model import Artifact, Deb
from cog_nix.plugins.spec import Context
from cog_nix_hooks.debian import find_fixes
from cog_nix_hooks.debian.fixes import find_fixes as find

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHANGELOG = """\
tiny (2.0-2) trixie-security; urgency=high

  * Fix CVE-2026-0003 and CVE-2026-00004: a buffer was too small
    (CVE-2026-0003).

 -- A Name <name@example.org>  Thu, 05 Mar 2026 00:00:00 +0000

tiny (2.0-1) unstable; urgency=medium

  * New upstream version, which closes CVE-2025-1000.

 -- A Name <name@example.org>  Wed, 04 Mar 2026 00:00:00 +0000

tiny (1.0-1) unstable; urgency=low

  * CVE-2024-9999 was closed long ago.

 -- A Name <name@example.org>  Tue, 03 Mar 2026 00:00:00 +0000
"""


class Fetcher:
    """Has files."""

    def __init__(self) -> None:
        self.files: dict[str, Path] = {}

    def artifacts(self, wanted: Any) -> dict[str, Path]:
        return {one.sha256: self.files[one.sha256] for one in wanted}


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher()


@pytest.fixture
def package(tmp_path: Path, fetcher: Fetcher) -> Callable[..., Deb]:
    """Return a function that makes a package with a changelog."""

    def make(name: str, version: str, changelog: str | bytes | None, compression: str = "xz") -> Deb:
        root = tmp_path / name
        (root / "DEBIAN").mkdir(parents=True)
        control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a\nDescription: b\n"
        (root / "DEBIAN/control").write_text(control)
        documents = root / "usr/share/doc" / name
        documents.mkdir(parents=True)
        if changelog is not None:
            data = gzip.compress(changelog.encode()) if isinstance(changelog, str) else changelog
            (documents / "changelog.Debian.gz").write_bytes(data)
        path = tmp_path / f"{name}.deb"
        subprocess.run(
            ["dpkg-deb", f"-Z{compression}", "--build", "--root-owner-group", root, path],
            check=True,
            capture_output=True,
        )
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        fetcher.files[sha256] = path
        artifact = Artifact(path.name, "https://mirror.example.org/x.deb", sha256, path.stat().st_size)
        return Deb(name, version, "all", artifact)

    return make


@pytest.fixture
def context(fetcher: Fetcher) -> Context:
    made: Any = Context(Settings(), fetcher, None, None)  # type: ignore[arg-type]
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize("compression", ["xz", "gzip", "none"])
def test_what_the_entries_since_a_version_name(
    package: Callable[..., Deb], context: Context, compression: str
) -> None:
    deb = package("tiny", "2.0-2+b1", CHANGELOG, compression)
    assert find([("1.0-1", deb)], context) == {"tiny": ("CVE-2025-1000", "CVE-2026-0003", "CVE-2026-00004")}
    assert find([("2.0-1", deb)], context) == {"tiny": ("CVE-2026-0003", "CVE-2026-00004")}
    assert find([("2.0-2", deb)], context) == {}


def test_nothing_is_fetched_for_a_package_that_goes_back(
    package: Callable[..., Deb], context: Context, fetcher: Fetcher
) -> None:
    deb = package("tiny", "2.0-2", CHANGELOG)
    fetcher.files.clear()
    assert find([("3.0-1", deb)], context) == {}


@pytest.mark.parametrize(
    "changelog",
    [
        pytest.param(None, id="none, as where another package has it"),
        pytest.param(b"no gzip", id="not compressed"),
        pytest.param("no entry at all\n", id="not a changelog"),
        pytest.param(gzip.compress(CHANGELOG.encode())[:-20], id="cut off"),
    ],
)
def test_a_package_without_a_readable_changelog_tells_nothing(
    package: Callable[..., Deb], context: Context, changelog: Any
) -> None:
    good = package("good", "2.0-2", CHANGELOG)
    assert find([("1.0-1", package("tiny", "2.0-2", changelog)), ("2.0-1", good)], context).keys() == {"good"}


def test_other_distributions_are_left_to_others(context: Context) -> None:
    assert find_fixes([], "noble", context) is None
