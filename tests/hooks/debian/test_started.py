"""Which packages bring the programs that an image lacks, asked of a tiny archive with a Contents index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.lock.model import Artifact, Deb
from cog_nix.plugins.spec import ProgramRequest
from cog_nix_hooks import debian
from cog_nix_hooks.debian.known import OF_NO_USE, PACKAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.plugins.spec import Context

_CONTENTS = """\
usr/bin/sox                     sound/sox
usr/bin/rare                    utils/rare-tools,utils/rare-more
usr/sbin/exact                  utils/aaa,utils/exact
usr/bin/there                   utils/present
usr/bin/python-tool             python/python3-tool
usr/games/game                  games/game
usr/share/doc/hidden            utils/hidden
usr/bin/forbidden               utils/forbidden
usr/bin/gone                    utils/gone
"""
_STANZAS = """
Package: sox

Package: imagemagick

Package: p7zip-full

Package: rare-tools
Depends: sox

Package: rare-more

Package: aaa

Package: exact

Package: present

Package: python3-tool

Package: game

Package: hidden

Package: forbidden
Conflicts: present
"""
_PRESENT = Deb(
    "present", "1", "amd64", Artifact("present_1_amd64.deb", "https://example.org/present.deb", "a", 1)
)


def _find(context: Context, *names: str, present: tuple[Deb, ...] = (_PRESENT,)) -> dict[str, str]:
    found = debian.find_programs(ProgramRequest("trixie", names, present), context)
    assert found is not None
    return dict(found)


@pytest.mark.parametrize(
    ("program", "package"),
    [
        ("sox", "sox"),
        ("convert", "imagemagick"),
        ("7z", "p7zip-full"),
        ("rare", "rare-more"),
        ("exact", "exact"),
        ("there", ""),
        ("python-tool", ""),
        ("game", ""),
        ("hidden", ""),
        ("forbidden", ""),
        ("gone", ""),
        ("ffmpeg", ""),
        ("nvidia-smi", ""),
        ("unheard-of", ""),
    ],
)
def test_the_package_of_a_program(
    archive: Any, context_for: Callable[..., Context], program: str, package: str
) -> None:
    archive.add_all(_STANZAS, contents=_CONTENTS)
    assert _find(context_for(archive.url), program) == ({program: package} if package else {})


def test_what_is_known_needs_no_index(archive: Any, context_for: Callable[..., Context]) -> None:
    archive.add_all(_STANZAS)
    assert _find(context_for(archive.url), "sox", "convert", "nvidia-smi") == {
        "sox": "sox",
        "convert": "imagemagick",
    }


def test_what_is_there_is_not_added(archive: Any, context_for: Callable[..., Context]) -> None:
    archive.add_all(_STANZAS)
    present = Deb("sox", "1", "amd64", Artifact("sox_1_amd64.deb", "https://example.org/sox.deb", "b", 1))
    assert _find(context_for(archive.url), "sox", "play", present=(present,)) == {}


def test_other_suites_are_left_to_others(archive: Any, context_for: Callable[..., Context]) -> None:
    assert debian.find_programs(ProgramRequest("noble", ("sox",), ()), context_for(archive.url)) is None


def test_no_program_is_known_and_of_no_use() -> None:
    assert not OF_NO_USE & PACKAGES.keys()
