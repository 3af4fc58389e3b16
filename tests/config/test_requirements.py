"""Requirement lines, as files have them and as a resolver wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cog_nix.config.requirements import Line, localise, normalise, read

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://wheels.example.org/cu118"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"a==1\nb\n", [(1, "a==1"), (2, "b")], id="plain"),
        pytest.param(b"# c\n\n  a  # d\n\tb\n", [(3, "a"), (4, "b")], id="comments"),
        pytest.param(b"a==1#c\n", [(1, "a==1")], id="comment-without-blank"),
        pytest.param(
            b"git+https://example.org/a@b#subdirectory=c # d\n",
            [(1, "git+https://example.org/a@b#subdirectory=c")],
            id="fragment",
        ),
        pytest.param(b"a==\\\n1\n\nb", [(1, "a==1"), (4, "b")], id="continuation"),
        pytest.param(b"a\\\r\n==1\r\nb\r\n", [(1, "a==1"), (3, "b")], id="crlf"),
        pytest.param(b"a\\", [(1, "a")], id="continued-into-nothing"),
        pytest.param(b"-e .\n -e  . \n-e ./x\n", [(3, "-e ./x")], id="itself"),
        pytest.param(b"\xef\xbb\xbfa\n", [(1, "a")], id="byte-order-mark"),
        pytest.param("a\r\nb\r\n".encode("utf-16"), [(1, "a"), (2, "b")], id="powershell"),
        pytest.param(b"", [], id="empty"),
    ],
)
def test_read(tmp_path: Path, content: bytes, expected: list[tuple[int, str]]) -> None:
    (tmp_path / "r.txt").write_bytes(content)
    assert [(line.number, line.text) for line in read(tmp_path / "r.txt")] == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param(["a", "b==1"], ("a", "b==1"), id="nothing-to-do"),
        pytest.param(
            [f"torch==1.11.0 --extra-index-url={URL}"],
            (f"--extra-index-url {URL}", "torch==1.11.0"),
            id="lift",
        ),
        pytest.param([f"a==1 -f {URL} b"], (f"--find-links {URL}", "a==1 b"), id="short-option"),
        pytest.param([f"a --index-url {URL} -i {URL}"], (f"--index-url {URL}", "a"), id="once"),
        pytest.param(["a", f"--extra-index-url={URL}"], (f"--extra-index-url {URL}", "a"), id="own-line"),
        pytest.param(
            ["a", "--pre", "--no-binary :all:"], ("--pre", "--no-binary :all:", "a"), id="other-options"
        ),
        pytest.param(["a==1 --hash=sha256:00"], ("a==1 --hash=sha256:00",), id="hash-stays"),
        pytest.param(
            [f"""a==1; python_version < "3.12" --find-links={URL}"""],
            (f"--find-links {URL}", """a==1; python_version < "3.12\""""),
            id="marker-keeps-its-quotes",
        ),
        pytest.param(["a -f"], ("a -f",), id="option-without-value"),
    ],
)
def test_normalise(lines: list[str], expected: tuple[str, ...]) -> None:
    assert normalise([Line(number, text) for number, text in enumerate(lines)]) == expected


def test_local_archives_are_named_from_the_project(tmp_path: Path) -> None:
    (tmp_path / "deps").mkdir()
    (tmp_path / "deps" / "my own-1.0.tar.gz").touch()
    (tmp_path / "top.WHL").touch()
    lines = [Line(1, "my own-1.0.tar.gz"), Line(2, "../top.WHL"), Line(3, "x @ https://example.org/x.whl")]
    found, problems = localise(lines, tmp_path / "deps", tmp_path)
    assert [line.text for line in found] == ["./deps/my own-1.0.tar.gz", "./top.WHL", lines[2].text]
    assert problems == []


@pytest.mark.parametrize("name", ["../outside.whl", "folder.whl", "link.whl"])
def test_local_archives_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    root = tmp_path / "project"
    (root / "folder.whl").mkdir(parents=True)
    (tmp_path / "outside.whl").touch()
    (root / "link.whl").symlink_to(tmp_path / "outside.whl")
    _, problems = localise([Line(7, name)], root, root)
    assert [problem.line for problem in problems] == [7]
    assert name in problems[0].text
