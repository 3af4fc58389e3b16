from __future__ import annotations

import pytest

from cog_nix_hooks.debian.relations import (
    Relation,
    RelationError,
    parse_clauses,
    parse_relations,
    show_clause,
    upstream_version,
)


@pytest.mark.parametrize(
    ("field", "clauses"),
    [
        pytest.param("", [], id="empty"),
        pytest.param("libc6", [[Relation("libc6")]], id="name"),
        pytest.param("libc6 (>= 2.38)", [[Relation("libc6", ">=", "2.38")]], id="version"),
        pytest.param("libc6(>=2.38)", [[Relation("libc6", ">=", "2.38")]], id="no-blanks"),
        pytest.param("a (<< 1:2~rc1-3+b1)", [[Relation("a", "<<", "1:2~rc1-3+b1")]], id="full-version"),
        pytest.param("a (< 2)", [[Relation("a", "<=", "2")]], id="old-operator"),
        pytest.param("perl:any", [[Relation("perl", qualifier="any")]], id="any"),
        pytest.param("a | b (= 1), c", [[Relation("a"), Relation("b", "=", "1")], [Relation("c")]], id="or"),
        pytest.param("a [amd64], b [!amd64], c [i386 arm64]", [[Relation("a")]], id="architectures"),
        pytest.param("a [linux-any] <!nocheck>", [[Relation("a")]], id="profiles"),
        pytest.param("a,\n b,", [[Relation("a")], [Relation("b")]], id="folded"),
        pytest.param("libstdc++6", [[Relation("libstdc++6")]], id="plus"),
    ],
)
def test_a_field_is_parsed_as_policy_7_1_says(field: str, clauses: list[list[Relation]]) -> None:
    assert parse_clauses(field) == tuple(map(tuple, clauses))


@pytest.mark.parametrize("field", ["a (", "a b", "(>= 1)", "a (>= )"])
def test_what_is_no_relationship_is_refused(field: str) -> None:
    with pytest.raises(RelationError, match="not a package relationship"):
        parse_clauses(field)


@pytest.mark.parametrize(
    ("relation", "version", "fits"),
    [
        ("a (>= 1.0)", "1.0", True),
        ("a (>= 1.0)", "1.0~rc1", False),
        ("a (>> 1.0)", "1.0", False),
        ("a (<< 1.0)", "1.0~~", True),
        ("a (<= 1.0)", "1:0.5", False),
        ("a (= 1.0)", "1.0-0", True),
        ("a (= 1.0)", "1.0+b1", False),
        ("a (>= 1.10)", "1.9", False),
        ("a", "", True),
        ("a (>= 1.0)", "", False),
    ],
)
def test_versions_order_as_in_dpkg(relation: str, version: str, *, fits: bool) -> None:
    assert parse_relations(relation)[0].accepts(version) is fits


def test_a_clause_is_shown_as_it_was_written() -> None:
    text = "a (>= 1) | b:any | c"
    assert show_clause(parse_clauses(text)[0]) == text


@pytest.mark.parametrize(
    ("version", "upstream"),
    [("3.13.5-2+deb13u1", "3.13.5"), ("1:2.47.3-0", "2.47.3"), ("20250419", "20250419"), ("1-2-3", "1-2")],
)
def test_upstream_version(version: str, upstream: str) -> None:
    assert upstream_version(version) == upstream
