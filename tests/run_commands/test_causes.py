"""What two results of a command have otherwise, and why that may be."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import TYPE_CHECKING, Any

import archive
import entries
import pytest

from cog_nix.run_commands import causes
from cog_nix.run_commands.causes import CURES, Cause, Unsteady

if TYPE_CHECKING:
    from pathlib import Path


def result(folder: Path, **files: Any) -> Path:
    """Write a result as the builder does."""
    made = [
        archive.Entry(
            path.replace("__", "/"),
            0o755 if path == "program" and folder.name == "b" else 0o644,
            data=data.encode() if isinstance(data, str) else data,
        )
        for path, data in files.items()
    ]
    archive.write_fragment(
        folder, entries.with_parents(made, lambda path: archive.Entry(path, 0o755)), "run-0"
    )
    return folder


def zipped(*members: tuple[str, str], year: int = 1980) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        for name, text in members:
            file.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), text)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        pytest.param("Wed Dec  2 00:25:01 UTC 2026", "Thu Dec  3 10:25:07 UTC 2026", Cause.CLOCK, id="date"),
        pytest.param("made 2026-12-02T10:00:01Z", "made 2026-12-02T10:00:09Z", Cause.CLOCK, id="ISO 8601"),
        pytest.param("t=1764633600.25", "t=1764633999.5", Cause.CLOCK, id="seconds"),
        pytest.param(
            gzip.compress(b"a", mtime=1), gzip.compress(b"a", mtime=2), Cause.CLOCK, id="gzip's header"
        ),
        pytest.param(zipped(("a", "1")), zipped(("a", "1"), year=2024), Cause.CLOCK, id="dates in a ZIP"),
        pytest.param(
            zipped(("a", "1"), ("b", "2")), zipped(("b", "2"), ("a", "1")), Cause.ORDER, id="order in a ZIP"
        ),
        pytest.param("a\nb\nc\n", "c\na\nb\n", Cause.ORDER, id="lines"),
        pytest.param("{'x', 'y', 'z'}", "{'z', 'x', 'y'}", Cause.ORDER, id="a set"),
        pytest.param('{"a": 1, "b": [2]}', '{"b":[2],"a":1}', Cause.ORDER, id="JSON"),
        pytest.param("in /tmp/tmpab12cd34/x", "in /tmp/tmpzz98yx76/x", Cause.NAME, id="a temporary folder"),
        pytest.param(
            "id 0f8fad5b-d9cb-469f-a165-70867728950e",
            "id 7c9e6679-7425-40de-944b-e07fc1f90ae7",
            Cause.NAME,
            id="UUID",
        ),
        pytest.param("seed 5", "seed 7", Cause.CONTENTS, id="a number"),
        pytest.param(b"\0\1\2\3", b"\4\5\6\7", Cause.CONTENTS, id="bytes"),
        pytest.param(zipped(("a", "1")), zipped(("a", "2")), Cause.CONTENTS, id="other contents of a ZIP"),
    ],
)
def test_causes(first: str | bytes, second: str | bytes, cause: Cause) -> None:
    ours, theirs = (one.encode() if isinstance(one, str) else one for one in (first, second))
    assert causes.cause_of(ours, theirs) is cause


def test_results_that_are_the_same_have_no_findings(tmp_path: Path) -> None:
    ours, theirs = (result(tmp_path / name, etc__a="1") for name in ("one", "two"))
    assert causes.compare(ours, theirs) == ()


def test_each_path_that_differs_is_found(tmp_path: Path) -> None:
    ours = result(tmp_path / "a", opt__tmpab12cd34="x", same="1", stamp="12:00:01", program="p", once="o")
    theirs = result(tmp_path / "b", opt__tmpzz98yx76="y", same="1", stamp="12:00:07", program="p")
    found = causes.compare(ours, theirs)
    assert [(one.path, one.cause) for one in found] == [
        ("once", Cause.CONTENTS),
        ("opt/tmpab12cd34", Cause.NAME),
        ("program", Cause.ATTRIBUTES),
        ("stamp", Cause.CLOCK),
    ]
    assert found[1].detail == "/opt/tmpzz98yx76 the other time"
    assert found[2].detail == "mode 0644 and 0755"
    assert found[3].detail == "bytes 7 to 7: b'1' and b'7'"


def test_a_result_without_files_is_compared_as_well(tmp_path: Path) -> None:
    ours, theirs = result(tmp_path / "a"), result(tmp_path / "b", made="1")
    assert [(one.path, one.cause) for one in causes.compare(ours, theirs)] == [("made", Cause.CONTENTS)]


def test_what_is_told_names_the_command_and_what_helps(tmp_path: Path) -> None:
    ours, theirs = result(tmp_path / "a", stamp="12:00:01"), result(tmp_path / "b", stamp="12:00:07")
    unsteady = Unsteady("cog.yaml:5", "date > /stamp", causes.compare(ours, theirs))
    assert list(unsteady.lines()) == [
        "cog.yaml:5: two runs of this command do not leave the same:",
        "  date > /stamp",
        "  clock       /stamp: bytes 7 to 7: b'1' and b'7'",
        f"  clock: {CURES[Cause.CLOCK]}",
    ]


def test_many_findings_are_counted() -> None:
    many = tuple(causes.Finding(f"f{number}", Cause.CONTENTS, "") for number in range(25))
    assert "  and 5 more" in list(Unsteady("cog.yaml:5", "x", many).lines())
