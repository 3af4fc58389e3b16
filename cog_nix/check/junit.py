"""Results as JUnit XML, as continuous integration reads it.

There is no standard; this is what the Ant task wrote and readers agree on: suites of cases, a case with
``failure`` or ``skipped`` when it did not pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from cog_nix.check.interface import Effect
from cog_nix.check.result import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cog_nix.check.release import Release
    from cog_nix.check.result import Result

_UNREADABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 does not allow (section 2.2)."""


@dataclass(frozen=True)
class Case:
    """One thing that was tried."""

    name: str
    outcome: Outcome
    detail: str = ""
    seconds: float = 0.0


def of_results(image: str, results: Iterable[Result]) -> bytes:
    """Return what an image's promises came to."""
    cases = [Case(one.case, one.outcome, one.detail, one.seconds) for one in results]
    return document([(f"promises of {image}", cases)])


def of_release(release: Release) -> bytes:
    """Return what the comparison of two images came to."""
    findings = [
        Case(one.part, Outcome.FAIL if one.effect is Effect.BREAKS else Outcome.PASS, one.detail)
        for one in release.findings
    ]
    trials = [
        (one.drawn, Case(one.name, one.outcome, one.detail, one.new_seconds or 0.0)) for one in release.trials
    ]
    if release.not_drawn:
        trials.append((True, Case("random", Outcome.NOT_APPLICABLE, release.not_drawn)))
    title = f"{release.new} against {release.old}"
    return document(
        [
            (f"interface of {title}", findings),
            (f"checks of {title}", [case for drawn, case in trials if not drawn]),
            (f"random inputs of {title}, seed {release.seed}", [case for drawn, case in trials if drawn]),
        ]
    )


def document(suites: Sequence[tuple[str, Sequence[Case]]]) -> bytes:
    """Return suites with their cases as XML; those without any are left out."""
    root = ET.Element("testsuites")
    for title, cases in suites:
        if not cases:
            continue
        counts = {kind: sum(one.outcome is kind for one in cases) for kind in Outcome}
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_text(title),
            tests=str(len(cases)),
            failures=str(counts[Outcome.FAIL]),
            errors="0",
            skipped=str(counts[Outcome.NOT_APPLICABLE]),
            time=f"{sum(one.seconds for one in cases):.3f}",
        )
        for one in cases:
            _add(suite, title, one)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add(suite: ET.Element, title: str, case: Case) -> None:
    element = ET.SubElement(
        suite, "testcase", classname=_text(title), name=_text(case.name), time=f"{case.seconds:.3f}"
    )
    detail = _text(case.detail)
    if case.outcome is Outcome.FAIL:
        ET.SubElement(element, "failure", message=detail).text = detail
    elif case.outcome is Outcome.NOT_APPLICABLE:
        ET.SubElement(element, "skipped", message=detail)
    elif detail:
        ET.SubElement(element, "system-out").text = detail


def _text(text: str) -> str:
    return _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", text)
