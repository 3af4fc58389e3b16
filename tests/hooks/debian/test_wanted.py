"""Entries of system_packages as words of an apt-get command line."""

from __future__ import annotations

import pytest

from cog_nix_hooks.debian.wanted import Wanted, WantedError, words


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("ffmpeg", ["ffmpeg"]),
        ("ffmpeg git", ["ffmpeg", "git"]),
        ("  ffmpeg\n git ", ["ffmpeg", "git"]),
        ("--no-install-recommends ffmpeg", ["ffmpeg"]),
        ("-y", []),
        ("'ffmpeg' \"git\"", ["ffmpeg", "git"]),
        ("ffmpeg # for sound", ["ffmpeg"]),
        ("", []),
    ],
)
def test_entries_are_split_as_the_shell_would(entry: str, found: list[str]) -> None:
    assert words(entry) == found


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("ffmpeg 'git", "a quotation mark is missing"),
        ("ffmpeg && rm -rf /", "shell syntax; commands belong under build.run"),
        ("$PACKAGES", "shell syntax"),
        ("-t bookworm-backports ffmpeg", "the option '-t' of apt-get has no meaning here"),
        ("--install-recommends ffmpeg", "'--install-recommends'"),
    ],
)
def test_what_only_a_shell_or_an_apt_can_follow_is_refused(entry: str, message: str) -> None:
    with pytest.raises(WantedError) as caught:
        words(entry)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("g++", Wanted("g++")),
        ("libssl1.1", Wanted("libssl1.1")),
        ("libc6:amd64", Wanted("libc6", qualifier="amd64")),
        ("git=1:2.47.3-0+deb13u1", Wanted("git", version="1:2.47.3-0+deb13u1")),
        ("git=1:2.*", Wanted("git", version="1:2.*")),
        ("git:amd64=1~rc1", Wanted("git", qualifier="amd64", version="1~rc1")),
        ("git/trixie-security", Wanted("git", release="trixie-security")),
        ("git:amd64/13", Wanted("git", qualifier="amd64", release="13")),
    ],
)
def test_words_that_apt_takes(word: str, wanted: Wanted) -> None:
    assert Wanted.parse(word) == wanted


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("libsdl*", "'libsdl*' is a pattern"),
        ("python3-[a-z]", "is a pattern"),
        ("^lib", "is a pattern"),
        ("lamp-server^", "'lamp-server^' is a task"),
        ("./tool.deb", "'./tool.deb' is a file"),
        ("tool_1.0_amd64.deb", "is a file"),
        ("Git", "'Git' is not a Debian package name"),
        ("git=", "is not a Debian package name"),
        ("git=1/trixie", "is not a Debian package name"),
    ],
)
def test_words_that_cannot_be_locked_are_refused(word: str, message: str) -> None:
    with pytest.raises(WantedError) as caught:
        Wanted.parse(word)
    assert message in str(caught.value)
