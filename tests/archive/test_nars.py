"""Which store paths of an archive can be taken: those whose references all can."""

from __future__ import annotations

from cog_nix.archive.nars import closure, whole
from cog_nix.store.objects import StoreObject


def _known(**references: str) -> dict[str, StoreObject]:
    names = {name: f"{name * 32}-{name}" for name in "abcd"}
    return {
        names[name]: StoreObject(names[name], "0" * 64, 1, tuple(names[one] for one in refers))
        for name, refers in references.items()
    }


def _letters(names: object) -> str:
    assert isinstance(names, set | dict)
    return "".join(sorted(name[-1] for name in names))


def test_what_a_path_refers_to_comes_with_it() -> None:
    known = _known(a="b", b="bc", c="", d="")
    assert _letters(closure([f"/nix/store/{'a' * 32}-a", "/nix/store/other"], known)) == "abc"


def test_nothing_is_whole_that_refers_to_what_is_refused() -> None:
    known = _known(a="b", b="c", c="", d="cd")
    assert _letters(whole(known, {f"{'b' * 32}-b"})) == "cd"
    assert _letters(whole(known, {f"{'c' * 32}-c"})) == ""
    assert _letters(whole(known, set())) == "abcd"


def test_nothing_is_whole_that_refers_to_what_is_unknown() -> None:
    assert _letters(whole(_known(a="b", c=""), set())) == "c"
