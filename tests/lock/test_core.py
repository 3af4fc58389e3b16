"""Which of Debian's essential packages every image has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cog_nix.resolve.system import essential_subset
from cog_nix_hooks.debian.essential import FACTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from cog_nix.lock.model import Deb


def _names(debs: tuple[Deb, ...]) -> list[str]:
    return [deb.package for deb in debs]


def test_tools_and_what_they_depend_on_are_the_core(deb: Callable[..., Deb]) -> None:
    base = [
        deb("bash", "1", "debianutils", "libtinfo6"),
        deb("libtinfo6", "1", "libc6"),
        deb("libc6"),
        deb("login", "1", "libpam0g"),
        deb("libpam0g"),
        deb("perl-base"),
    ]
    kept, rest = essential_subset(base, [], FACTS)
    assert _names(kept) == ["bash", "libtinfo6", "libc6"]
    assert _names(rest) == ["login", "libpam0g", "perl-base"]


def test_what_other_packages_depend_on_is_core_as_well(deb: Callable[..., Deb]) -> None:
    base = [deb("libpam0g", "1", "libc6"), deb("libc6"), deb("perl-base")]
    kept, rest = essential_subset(base, [deb("python3.13", "1", "libpam0g", "not-in-the-base")], FACTS)
    assert (_names(kept), _names(rest)) == (["libpam0g", "libc6"], ["perl-base"])


def test_what_is_named_is_core_as_well(deb: Callable[..., Deb]) -> None:
    base = [deb("libcrypt1", "1", "libc6"), deb("libc6"), deb("perl-base")]
    kept, rest = essential_subset(base, [], FACTS, ["libcrypt1", "not-in-the-base"])
    assert (_names(kept), _names(rest)) == (["libcrypt1", "libc6"], ["perl-base"])


def test_what_serves_maintainer_scripts_is_not_followed(deb: Callable[..., Deb]) -> None:
    base = [deb("dash", "1", "debconf"), deb("debconf", "1", "perl-base"), deb("perl-base")]
    kept, rest = essential_subset(base, [], FACTS)
    assert (_names(kept), _names(rest)) == (["dash"], ["debconf", "perl-base"])


def test_packages_that_need_each_other_come_together(deb: Callable[..., Deb]) -> None:
    base = [deb("libc6", "1", "libgcc-s1"), deb("libgcc-s1", "1", "libc6"), deb("bash", "1", "libc6")]
    kept, rest = essential_subset(base, [], FACTS)
    assert (_names(kept), rest) == (["libc6", "libgcc-s1", "bash"], ())
