"""What Nix says of store paths, and what a binary cache says of them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cog_nix.store.caches import Caches
from cog_nix.store.failures import UnexpectedAnswerError
from cog_nix.store.nix import discover
from cog_nix.store.objects import StoreObject, offer, read, unsigned
from cog_nix.system.keys import SecretKey

if TYPE_CHECKING:
    from pathlib import Path

TOOL, LIBRARY = f"{'a' * 32}-tool-1.0", f"{'b' * 32}-library"
SHA256 = "1" * 64
# As Nix 2.8 and 2.34 print them.
REGISTERED = f"""\
/nix/store/{LIBRARY}
{"2" * 64}
96

0
/nix/store/{TOOL}
{SHA256}
120
/nix/store/{"c" * 32}-tool-1.0.drv
2
/nix/store/{LIBRARY}
/nix/store/{TOOL}
"""
SIGNED = f"""\
/nix/store/{LIBRARY} \tca:fixed:r:sha256:0abc
/nix/store/{TOOL}\tultimate cache-1:c2ln team:c2ln
"""


def test_what_nix_says_is_read() -> None:
    library, tool = read(REGISTERED, SIGNED)
    assert library == StoreObject(LIBRARY, "2" * 64, 96, (), (), "fixed:r:sha256:0abc")
    assert tool == StoreObject(TOOL, SHA256, 120, (LIBRARY, TOOL), ("cache-1:c2ln", "team:c2ln"))


def test_a_binary_cache_says_the_same() -> None:
    library, tool = read(REGISTERED, SIGNED)
    assert tool.narinfo("nars/11/1").splitlines() == [
        f"StorePath: /nix/store/{TOOL}",
        "URL: nars/11/1",
        "Compression: none",
        f"NarHash: sha256:{SHA256}",
        "NarSize: 120",
        f"References: {LIBRARY} {TOOL}",
        "Sig: cache-1:c2ln",
        "Sig: team:c2ln",
    ]
    assert "CA: fixed:r:sha256:0abc\n" in library.narinfo("x")


def test_it_is_read_as_it_was_written() -> None:
    for one in read(REGISTERED, SIGNED):
        assert StoreObject.parse(one.name, one.document()) == one


def test_signatures_of_the_same_files_are_kept() -> None:
    one = StoreObject(TOOL, SHA256, 120, (), ("cache-1:c2ln",))
    other = StoreObject(TOOL, SHA256, 120, (), ("team:c2ln",))
    assert (one | other).signatures == ("cache-1:c2ln", "team:c2ln")
    built_otherwise = StoreObject(TOOL, "3" * 64, 120, (), ("team:c2ln",))
    assert one | built_otherwise == built_otherwise


@pytest.mark.nix
def test_nix_knows_our_signature(tmp_path: Path) -> None:
    public = SecretKey.make("team-1", tmp_path / "secret")
    (one,) = (one for one in read(REGISTERED, SIGNED) if one.name == TOOL)
    nix = replace(discover({**os.environ, "COG_NIX_STORE": str(tmp_path / "store")}), caches=Caches())
    trusting = replace(nix, caches=Caches(trusted_public_keys=(public,)))
    for known, name in ((one, "as-it-was"), (one.signed(SecretKey.read(tmp_path / "secret")), "signed")):
        (tmp_path / name).mkdir()
        url = offer([known], tmp_path / name, "nars")
        assert unsigned(nix, url, [one.path]) == {TOOL}
        assert unsigned(trusting, url, [one.path]) == ({TOOL} if name == "as-it-was" else set())


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("../../etc/passwd", {}),
        (f"{'a' * 32}-a/b", {}),
        (TOOL, {"sha256": "../x"}),
        (TOOL, {"references": ["x\nSig: y"]}),
        (TOOL, {"signatures": ["key:x\nCA: y"]}),
        (TOOL, {"content": "fixed:r sha256"}),
        (TOOL, {"size": -1}),
    ],
)
def test_what_would_lead_elsewhere_is_refused(name: str, change: dict[str, object]) -> None:
    said = StoreObject(TOOL, SHA256, 120, ()).document()
    with pytest.raises(ValueError, match=r"is not"):
        StoreObject.parse(name, {**said, **change})


@pytest.mark.parametrize(
    "registered",
    [REGISTERED.replace("\n2\n", "\n-5\n"), REGISTERED.replace("120", "much"), REGISTERED[:-60], "x"],
)
def test_any_other_answer_is_told(registered: str) -> None:
    with pytest.raises(UnexpectedAnswerError):
        read(registered, SIGNED)
