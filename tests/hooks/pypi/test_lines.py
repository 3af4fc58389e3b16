from __future__ import annotations

import pytest

from cog_nix.errors import LockError
from cog_nix_hooks.pypi.lines import Lines, parse, requirement_of


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
            ["--pre", "--no-index", "--trusted-host h"],
            Lines(trusted=("h",), no_index=True, pre=True),
            id="flags",
        ),
        pytest.param(
            ["a==1 --hash=sha256:00 --hash=sha256:11"],
            Lines(("a==1 --hash=sha256:00 --hash=sha256:11",), hashes={"a": frozenset({"00", "11"})}),
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
    ("line", "expected"),
    [
        pytest.param("git+https://h/a.git@main", "git+https://h/a.git@main", id="git"),
        pytest.param("-e git+https://h/a.git#egg=A", "A @ git+https://h/a.git", id="editable"),
        pytest.param(
            "git+https://h/a.git@v1#egg=a&subdirectory=sub ; python_version > '3'",
            "a @ git+https://h/a.git@v1#subdirectory=sub ; python_version > '3'",
            id="egg-and-subdirectory",
        ),
        pytest.param("b @ git+https://h/a.git#egg=a", "b @ git+https://h/a.git", id="named-twice"),
        pytest.param("a @ https://h/a-1.0.zip", "a @ https://h/a-1.0.zip", id="archive"),
        pytest.param("./dist/a-1.0.tar.gz", "./dist/a-1.0.tar.gz", id="local"),
    ],
)
def test_direct_references_are_brought_into_one_form(line: str, expected: str) -> None:
    assert parse([line], "cog.yaml").requirements == (expected,)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("-e ./a", "a folder in place", id="editable-folder"),
        pytest.param("--editable=./a", "a folder in place", id="long-option"),
        pytest.param("hg+https://user:hunter2@example.org/a", "in a hg repository", id="mercurial"),
        pytest.param("a @ svn+https://example.org/a", "in a svn repository", id="subversion"),
        pytest.param("git+git://github.com/a/a.git@v1", "does not answer git:// any more", id="git-protocol"),
    ],
)
def test_what_no_image_can_have_is_refused(line: str, message: str) -> None:
    with pytest.raises(LockError, match=message) as caught:
        parse([line], "cog.yaml")
    assert caught.value.hint
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("line", ["cudatoolkit=11.8", "numpy = 1.26.4", "scipy=1.11.3=py311h64a7726_1"])
def test_a_pin_of_conda_is_refused_with_the_line_to_write(line: str) -> None:
    with pytest.raises(LockError, match="as conda writes it") as caught:
        parse([line], "cog.yaml")
    written = (caught.value.hint or "").removeprefix("Write ")
    assert parse([written], "cog.yaml").requirements == (written,)
    assert requirement_of(written)


def test_the_line_that_a_hint_gives_is_accepted() -> None:
    with pytest.raises(LockError) as caught:
        parse(["a @ git+git://github.com/a/a.git@v1"], "cog.yaml")
    line = (caught.value.hint or "").removeprefix("Write ")
    assert parse([line], "cog.yaml").requirements == ("a @ git+https://github.com/a/a.git@v1",)
    other = "a @ git+git://git.example.org/a.git"
    assert parse([other], "cog.yaml").requirements == (other,)


def test_build_options_collect_normalised_names() -> None:
    lines = parse(
        [
            "--no-binary A_b,c",
            "--no-binary :none:",
            "--no-binary=D.e",
            "--only-binary :all:",
            "--prefer-binary",
        ],
        "cog.yaml",
    )
    assert (lines.no_binary, lines.only_binary, lines.prefer_binary) == (("d-e",), (":all:",), True)
    assert parse(["--no-build-isolation"], "cog.yaml").not_isolated == (":all:",)


def test_variables_are_expanded_and_remembered_as_secrets() -> None:
    lines = parse(["--index-url https://u:${TOKEN}@h/${MISSING}"], "cog.yaml", {"TOKEN": "hunter2"})
    assert lines.index == "https://u:hunter2@h/${MISSING}"
    assert lines.secrets == ("hunter2",)


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
