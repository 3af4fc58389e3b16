from __future__ import annotations

import pytest

from cog_nix.errors import LockError
from cog_nix_hooks.pypi.lines import Lines, parse


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(
            ["torch == 2.0.1", " numpy ", ""], Lines(("torch == 2.0.1", "numpy")), id="requirements"
        ),
        pytest.param(
            ["-i https://a.example.org", "--index-url=https://b.example.org"],
            Lines(index="https://b.example.org"),
            id="the-last-index-wins",
        ),
        pytest.param(
            ["torch==2.0.1 --extra-index-url=https://a.example.org -f https://b.example.org/torch.html"],
            Lines(
                ("torch==2.0.1",),
                extra=("https://a.example.org",),
                find_links=("https://b.example.org/torch.html",),
            ),
            id="options-behind-a-requirement",
        ),
        pytest.param(
            ["--extra-index-url https://a.example.org"] * 2,
            Lines(extra=("https://a.example.org",)),
            id="twice",
        ),
        pytest.param(
            ["--pre", "--no-index", "--trusted-host h", "--prefer-binary", "--only-binary=:all:"],
            Lines(trusted=("h",), no_index=True, pre=True),
            id="flags",
        ),
        pytest.param(
            ["a==1 --hash=sha256:00 --hash=sha256:11"],
            Lines(("a==1 --hash=sha256:00 --hash=sha256:11",)),
            id="hashes",
        ),
        pytest.param(
            ["-r other.txt", "--constraint c.txt"], Lines(("-r other.txt", "--constraint c.txt")), id="files"
        ),
        pytest.param(
            ["a @ https://example.org/a-1-py3-none-any.whl ; python_version > '3'"],
            Lines(("a @ https://example.org/a-1-py3-none-any.whl ; python_version > '3'",)),
            id="wheel-url",
        ),
    ],
)
def test_lines_are_sorted(lines: list[str], expected: Lines) -> None:
    assert parse(lines, "cog.yaml") == expected


@pytest.mark.parametrize(
    "line",
    [
        "git+https://user:hunter2@example.org/a.git@main",
        "a @ git+ssh://user:hunter2@example.org/a.git",
        "-e ./a",
        "--editable=./a",
        "hg+https://example.org/a",
        "https://user:hunter2@example.org/a-1.0.tar.gz",
        "a @ https://example.org/a-1.0.zip ; python_version > '3'",
        "./a-1.0.tar.gz",
    ],
)
def test_sources_are_refused(line: str) -> None:
    with pytest.raises(LockError, match=r"cog\.yaml: .* would have to be built from source") as caught:
        parse([line], "cog.yaml")
    assert "wheel" in caught.value.hint
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("--no-such-option", "unknown option '--no-such-option'", id="unknown"),
        pytest.param("--index-url", "--index-url needs a value", id="no-value"),
        pytest.param("a --find-links='x", "No closing quotation", id="quotes"),
    ],
)
def test_bad_options_are_named(line: str, message: str) -> None:
    with pytest.raises(LockError, match=message) as caught:
        parse([line], "cog.yaml")
    assert caught.value.hint
