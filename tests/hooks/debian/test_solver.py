from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from cog_nix_hooks.debian.explain import explain
from cog_nix_hooks.debian.relations import parse_clauses
from cog_nix_hooks.debian.solver import DeadEndError, Solver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cog_nix_hooks.debian.packages import Catalogue

    CatalogueOf = Callable[..., Catalogue]


def solve(catalogue: Catalogue, *groups: str, pins: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """Solve for groups written like Depends fields; return versions by name."""
    found = Solver(catalogue, pins or {}).solve([parse_clauses(group) for group in groups])
    return [{name: package.version for name, package in group.items()} for group in found]


def names(catalogue: Catalogue, *groups: str) -> str:
    return "; ".join(" ".join(group) for group in solve(catalogue, *groups))


@pytest.mark.parametrize(
    ("stanzas", "wanted", "expected"),
    [
        pytest.param(
            "Package: a\nDepends: b\n\nPackage: b\nPre-Depends: c\n\nPackage: c", "a", "a b c", id="chain"
        ),
        pytest.param("Package: a\nDepends: b\n\nPackage: b\nDepends: a", "a", "a b", id="cycle"),
        pytest.param(
            "Package: a\nDepends: b | c\n\nPackage: b\n\nPackage: c", "a", "a b", id="first-alternative"
        ),
        pytest.param("Package: a\nDepends: x | c\n\nPackage: c", "a", "a c", id="only-alternative-there-is"),
        pytest.param(
            "Package: a\nDepends: b | c\n\nPackage: b\n\nPackage: c", "c, a", "a c", id="chosen-already"
        ),
        pytest.param(
            "Package: a\nDepends: b | c, d\n\nPackage: b\n\nPackage: c\n\nPackage: d\nDepends: c",
            "a",
            "a c d",
            id="needed-anyway-comes-before-choices",
        ),
        pytest.param("Package: a\nDepends: v\n\nPackage: b\nProvides: v", "a", "a b", id="provides"),
        pytest.param(
            "Package: a\nDepends: v\n\nPackage: v\n\nPackage: b\nProvides: v",
            "a",
            "a v",
            id="real-before-provided",
        ),
        pytest.param(
            "Package: a\nDepends: v\n\nPackage: z\nProvides: v\nPriority: important\n\n"
            "Package: b\nProvides: v\nPriority: optional",
            "a",
            "a z",
            id="important-provider-first",
        ),
        pytest.param(
            "Package: a\nDepends: v (>= 2)\n\nPackage: b\nProvides: v\n\nPackage: c\nProvides: v (= 1)\n\n"
            "Package: d\nProvides: v (= 2)",
            "a",
            "a d",
            id="versioned-provides",
        ),
        pytest.param(
            "Package: a\nDepends: b | c\n\nPackage: b\nConflicts: d\n\nPackage: c\n\nPackage: d",
            "a, d",
            "a c d",
            id="conflict",
        ),
        pytest.param(
            "Package: a\nDepends: b | c\n\nPackage: b\nVersion: 1\n\nPackage: c\n\n"
            "Package: d\nBreaks: b (<< 2)",
            "a, d",
            "a c d",
            id="breaks",
        ),
        pytest.param(
            "Package: a\nDepends: b\n\nPackage: b\nVersion: 2\n\nPackage: d\nBreaks: b (<< 2)",
            "a, d",
            "a b d",
            id="breaks-another-version",
        ),
        pytest.param(
            "Package: a\nProvides: v\nConflicts: v\n\nPackage: b\nDepends: c | d\n\n"
            "Package: c\nProvides: v\n\nPackage: d",
            "a, b",
            "a b d",
            id="conflict-with-what-it-provides-itself",
        ),
        pytest.param(
            "Package: a\nDepends: b | c, e | f\n\nPackage: b\n\nPackage: c\n\n"
            "Package: e\nConflicts: b\n\nPackage: f\nConflicts: b",
            "a",
            "a c e",
            id="goes-back",
        ),
        pytest.param("Package: a\nDepends: perl:any\n\nPackage: perl", "a", "a perl", id="any"),
        pytest.param("Package: a\nDepends: c:amd64\n\nPackage: c", "a", "a c", id="own-architecture"),
        pytest.param(
            "Package: a\nRecommends: b\nSuggests: b\nEnhances: b\n\nPackage: b", "a", "a", id="recommends"
        ),
        pytest.param(
            "Package: a\nReplaces: b\n\nPackage: b", "a, b", "a b", id="replaces-alone-is-no-conflict"
        ),
        pytest.param("Package: a\nConflicts: b:i386\n\nPackage: b", "a, b", "a b", id="conflict-elsewhere"),
        pytest.param(
            "Package: a\nDepends: v (>= 1) | c\n\nPackage: b\nProvides: v\n\nPackage: c",
            "a",
            "a c",
            id="provided-without-a-version",
        ),
        pytest.param(
            "Package: a\nConflicts: v\n\nPackage: b\nProvides: v\n\nPackage: c\n\nPackage: d\nDepends: b | c",
            "a, d",
            "a c d",
            id="conflict-with-what-is-provided",
        ),
        pytest.param(
            "Package: a\nBreaks: v (<< 2)\n\nPackage: b\nProvides: v (= 1)\n\nPackage: c\nProvides: v (= 2)\n\n"  # noqa: E501
            "Package: d\nDepends: v",
            "a, d",
            "a c d",
            id="breaks-a-version-that-is-provided",
        ),
        pytest.param(
            "Package: a\nPre-Depends: b (= 2) | c\n\nPackage: b\nVersion: 3\n\nPackage: c",
            "a",
            "a c",
            id="alternative-of-another-version",
        ),
        pytest.param("Package: a\nDepends: b:i386 | c\n\nPackage: b\n\nPackage: c", "a", "a c", id="foreign"),
    ],
)
def test_what_is_chosen(catalogue_of: CatalogueOf, stanzas: str, wanted: str, expected: str) -> None:
    assert names(catalogue_of(stanzas), wanted) == expected


def test_a_name_that_was_asked_for_is_that_package_not_a_provider(catalogue_of: CatalogueOf) -> None:
    stanzas = "Package: a\nDepends: u | m\n\nPackage: m\n\nPackage: u\nProvides: m"
    assert names(catalogue_of(stanzas), "a, m") == "a m"


def test_groups_stand_on_the_ones_before_them(catalogue_of: CatalogueOf) -> None:
    stanzas = "Package: a\nDepends: c\n\nPackage: b\nDepends: c, d\n\nPackage: c\n\nPackage: d"
    assert names(catalogue_of(stanzas), "a", "b, a") == "a c; b d"


def test_a_later_group_does_not_change_an_earlier_choice(catalogue_of: CatalogueOf) -> None:
    stanzas = "Package: a\nDepends: b | c\n\nPackage: b\n\nPackage: c"
    assert names(catalogue_of(stanzas), "a", "c") == "a b; c"


def test_a_later_group_changes_an_earlier_choice_that_is_in_its_way(catalogue_of: CatalogueOf) -> None:
    stanzas = "Package: a\nDepends: b | c\n\nPackage: b\n\nPackage: c\n\nPackage: d\nConflicts: b"
    assert names(catalogue_of(stanzas), "a", "d") == "a c; d"


def test_the_highest_version_of_all_indexes_is_taken(catalogue_of: CatalogueOf) -> None:
    catalogue = catalogue_of("Package: a\nVersion: 1.9-1", "", "Package: a\nVersion: 1.10-1")
    assert solve(catalogue, "a") == [{"a": "1.10-1"}]


def test_an_older_version_is_taken_where_only_it_fits(catalogue_of: CatalogueOf) -> None:
    catalogue = catalogue_of(
        "Package: a\nVersion: 1\n\nPackage: b\nDepends: a (= 1)", "Package: a\nVersion: 2"
    )
    assert solve(catalogue, "a, b") == [{"a": "1", "b": "1.0"}]


@pytest.mark.parametrize(
    ("pins", "version"),
    [
        pytest.param({"a": "1"}, "1", id="kept"),
        pytest.param({"a": "3"}, "2", id="gone"),
        pytest.param({}, "2", id="none"),
    ],
)
def test_pins_are_kept_where_they_exist(
    catalogue_of: CatalogueOf, pins: dict[str, str], version: str
) -> None:
    catalogue = catalogue_of("Package: a\nVersion: 1", "Package: a\nVersion: 2")
    assert solve(catalogue, "a", pins=pins) == [{"a": version}]


def test_a_pin_gives_way_where_it_does_not_fit(catalogue_of: CatalogueOf) -> None:
    catalogue = catalogue_of(
        "Package: a\nVersion: 1", "Package: a\nVersion: 2\n\nPackage: a-dev\nVersion: 2\nDepends: a (= 2)"
    )
    assert solve(catalogue, "a", "a-dev", pins={"a": "1"}) == [{"a": "2"}, {"a-dev": "2"}]


def test_the_order_of_the_request_does_not_matter(catalogue_of: CatalogueOf) -> None:
    rng = random.Random(7)  # noqa: S311 - the same packages each time
    stanzas = []
    for number in range(60):
        depends = ", ".join(f"p{rng.randrange(60)} | v{rng.randrange(6)}" for _ in range(rng.randrange(4)))
        provides = f"\nProvides: v{number % 6}" if number % 3 == 0 else ""
        stanzas.append(f"Package: p{number}" + (f"\nDepends: {depends}" if depends else "") + provides)
    catalogue = catalogue_of("\n\n".join(stanzas))
    wanted = [f"p{number}" for number in range(0, 60, 7)]
    expected = solve(catalogue, ", ".join(wanted))
    for _ in range(10):
        rng.shuffle(wanted)
        assert solve(catalogue, ", ".join(wanted)) == expected


def test_a_contradiction_is_found_however_many_choices_came_before(catalogue_of: CatalogueOf) -> None:
    choices = "\n\n".join(
        f"Package: c{number}\nDepends: l{number} | r{number}\n\nPackage: l{number}\n\nPackage: r{number}"
        for number in range(100)
    )
    broken = "Package: zz\nDepends: x1 | x2\n\nPackage: x1\nDepends: gone\n\nPackage: x2\nDepends: gone"
    wanted = ", ".join(f"c{number}" for number in range(100))
    with pytest.raises(DeadEndError, match="gone"):
        solve(catalogue_of(f"{choices}\n\n{broken}"), wanted, "zz")


def test_a_missing_dependency_is_explained_from_the_request_down(catalogue_of: CatalogueOf) -> None:
    catalogue = catalogue_of(
        "Package: a\nDepends: b\n\nPackage: b\nDepends: c (>= 2)\n\nPackage: c\nVersion: 1"
    )
    with pytest.raises(DeadEndError) as caught:
        solve(catalogue, "a")
    assert explain(caught.value, catalogue, lambda name: f"{name} (cog.yaml:7)").splitlines() == [
        "The system packages cannot be installed together in Debian trixie:",
        "  a (cog.yaml:7) is asked for",
        "  a needs b",
        "  b needs c (>= 2)",
        "    c (>= 2) is not there: the suite has c 1",
    ]


def test_a_conflict_is_explained_with_both_sides(catalogue_of: CatalogueOf) -> None:
    catalogue = catalogue_of(
        "Package: a\nDepends: b\n\nPackage: b\n\nPackage: d\nDepends: e\n\nPackage: e\nBreaks: b"
    )
    with pytest.raises(DeadEndError) as caught:
        solve(catalogue, "a, d")
    text = explain(caught.value, catalogue, lambda name: f"{name} (cog.yaml:7)")
    assert "a needs b" in text
    assert "d needs e" in text
    assert "b 1.0 cannot be taken: e 1.0 conflicts with b" in text or "it conflicts with b (b 1.0)" in text
