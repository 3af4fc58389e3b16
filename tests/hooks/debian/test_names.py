from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.errors import LockError
from cog_nix_hooks.debian.names import Names, suggest
from cog_nix_hooks.debian.packages import Catalogue
from cog_nix_hooks.debian.renamed import NOT_NEEDED, RENAMED

if TYPE_CHECKING:
    from collections.abc import Callable


THERE = """
Package: ffmpeg

Package: libgl1

Package: libglib2.0-0t64
Provides: libglib2.0-0 (= 1.0)

Package: libssl3t64
Provides: libssl3 (= 3.5)

Package: libavcodec59

Package: libavcodec61

Package: libavcodec-dev

Package: gcc-14

Package: mawk
Provides: awk

Package: gawk
Provides: awk
"""


class Ears:
    """What a reporter is told."""

    def __init__(self) -> None:
        self.infos: list[str] = []

    def info(self, text: str) -> None:
        self.infos.append(text)


@pytest.fixture
def names(catalogue_of: Callable[..., Catalogue]) -> Names:
    asked_in = {name: f"cog.yaml:{line}" for line, name in enumerate(("ffmpg", "libgl1-mesa-glx", "awk"), 7)}
    made = catalogue_of(THERE, "Package: ffmpeg\nVersion: 1.1")
    names = (("trixie", "stable"), ("trixie-security", "stable-security"))
    catalogue = Catalogue("trixie", made._indexes, names)
    return Names(catalogue, asked_in, Ears())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "clause"),
    [
        ("ffmpeg", "ffmpeg"),
        ("ffmpeg=1.0", "ffmpeg (= 1.0)"),
        ("ffmpeg:amd64", "ffmpeg:amd64"),
        ("libglib2.0-0", "libglib2.0-0"),
        ("libgl1-mesa-glx", "libgl1"),
        ("libgl1-mesa-glx=1.0", "libgl1 (= 1.0)"),
        ("ffmpeg=1.*", "ffmpeg (= 1.1)"),
        ("ffmpeg/trixie", "ffmpeg (= 1.0)"),
        ("ffmpeg:amd64/stable-security", "ffmpeg:amd64 (= 1.1)"),
        ("--no-install-recommends ffmpeg", "ffmpeg"),
    ],
)
def test_names_that_can_be_asked_for(names: Names, written: str, clause: str) -> None:
    found = names.clauses([written])
    names.check()
    assert [str(relation) for each in found for relation in each] == [clause]


def test_a_renamed_package_is_said(names: Names) -> None:
    names.clauses(["libgl1-mesa-glx"])
    assert names._reporter.infos == [  # type: ignore[attr-defined]
        "cog.yaml:8: libgl1-mesa-glx is called libgl1 in Debian trixie; taking that."
    ]
    assert names.place("libgl1") == "libgl1 (cog.yaml:8)"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("ffmpg", "cog.yaml:7: there is no package 'ffmpg' in Debian trixie. Did you mean ffmpeg?"),
        ("awk", "cog.yaml:9: 'awk' is a virtual package in Debian trixie: name one of gawk, mawk."),
        ("ffmpeg=2.0", "ffmpeg has no version 2.0 in Debian trixie; there is 1.1, 1.0."),
        ("ffmpeg:i386", "ffmpeg:i386: only packages for amd64 can be installed."),
        ("nvidia-cudnn", "CUDA comes with the Python packages"),
        ("python3.8-dev", "set by build.python_version"),
        ("Not a name", "'Not' is not a Debian package name."),
        ("ffmpeg/jammy", "ffmpeg/jammy: locked are trixie, stable, trixie-security, stable-security only."),
        ("libgl1/trixie-security", "libgl1 is not in trixie-security."),
        ("ffmpeg=2.*", "ffmpeg has no version 2.* in Debian trixie; there is 1.1, 1.0."),
        ("ffmpeg-", "there is no package 'ffmpeg-' in Debian trixie. Write 'ffmpeg', or leave it out"),
        ("ffmpeg+", "Write 'ffmpeg', or leave it out"),
        ("lib*", "'lib*' is a pattern"),
        ("libavcodec58", "There is libavcodec59 or libavcodec61, with another binary interface"),
        ("libssl1.1", "There is libssl3t64, with another binary interface"),
        ("gcc-9", "There is gcc-14."),
        ("libgconf-2-4", "GConf left Debian"),
        ("cuda-toolkit-11-8", "CUDA comes with the Python packages"),
        ("unrar", "It is not free software"),
    ],
)
def test_names_that_cannot(names: Names, written: str, message: str) -> None:
    assert names.clauses([written]) == []
    with pytest.raises(LockError) as caught:
        names.check()
    assert message in caught.value.message
    assert "build.system_packages" in caught.value.hint


def test_all_wrong_names_are_told_at_once_in_their_order(names: Names) -> None:
    names.clauses(["ffmpg", "ffmpeg", "awk"])
    with pytest.raises(LockError) as caught:
        names.check()
    assert [line.partition(" ")[0] for line in caught.value.message.splitlines()] == [
        "cog.yaml:7:",
        "cog.yaml:9:",
    ]


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        pytest.param(
            "libsndfile", ["libsndfile1", "libsndio7", "sndfile-tools"], "libsndfile1", id="no-number"
        ),
        pytest.param("opencv", ["python3-opencv", "openrc", "opensc"], "python3-opencv", id="part-of-a-name"),
        pytest.param("libgl1-mesa", ["libglu1-mesa", "libgl1", "libgl1-mesa-dri"], "libgl1", id="shortened"),
        pytest.param("libgl1-mesa-glxx", ["libgl1"], "libgl1", id="renamed-and-misspelt"),
    ],
)
def test_suggestions(name: str, there: list[str], expected: str) -> None:
    assert suggest(name, there)[0] == expected


def test_several_words_are_several_packages(names: Names) -> None:
    found = names.clauses(["ffmpeg libgl1-mesa-glx", "awk ffmpg"])
    assert [str(relation) for each in found for relation in each] == ["ffmpeg", "libgl1"]
    with pytest.raises(LockError) as caught:
        names.check()
    assert [line.partition(":")[0] for line in caught.value.message.splitlines()] == [
        "'awk' is a virtual package in Debian trixie",
        "there is no package 'ffmpg' in Debian trixie. Did you mean ffmpeg?",
    ]


def test_a_name_that_nothing_has_to_stand_for_is_said(names: Names) -> None:
    assert names.clauses(["python3-distutils"]) == []
    names.check()
    [told] = names._reporter.infos  # type: ignore[attr-defined]
    assert told.startswith(
        "python3-distutils is not in Debian trixie: distutils is part of Python up to 3.11"
    )


def test_no_successor_needs_a_successor() -> None:
    assert not RENAMED.keys() & {*RENAMED.values(), *NOT_NEEDED}
