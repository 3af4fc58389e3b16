"""The page of ``cog-nix explain``, in Chromium."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.explain.page import page
from cog_nix.explain.report import report
from cog_nix.plugins.manager import load as load_plugins
from cog_nix.report import SilentReporter
from cog_nix_hooks.debian.database import DPKG

from .samples import sample

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 20_000
"""Milliseconds that something may take on a busy machine."""

PLUGINS = load_plugins()


def written(path: Path, title: str = "sample") -> Path:
    made = sample()
    object.__setattr__(made, "title", title)
    ids = [one.diff_id for one in made.layers]
    path.write_bytes(page(report(made, SilentReporter(), PLUGINS, others={"my-model:v1": ids[:2]}), DPKG))
    return path


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    text = written(tmp_path / "page.html").read_text()
    assert not re.search(r"(?:src|href|url)\s*[=(]", text)
    assert "default-src 'none'" in text
    assert len(text) < 60_000


def test_a_title_is_text(tmp_path: Path) -> None:
    text = written(tmp_path / "page.html", "</script><script>alert(1)</script>@DATA@").read_text()
    assert "<script>alert" not in text
    assert text.count("</script>") == 2
    assert "&lt;script&gt;alert(1)&lt;/script&gt;@DATA@</title>" in text


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """Yield the page, as a file; it may ask for nothing, and say nothing on the console."""
    found = browser.new_page(viewport={"width": 1200, "height": 900})
    found.set_default_timeout(SECONDS)
    said: list[str] = []
    asked: list[str] = []
    found.on("console", lambda one: said.append(one.text))
    found.on("pageerror", lambda one: said.append(str(one)))
    found.on("request", lambda one: asked.append(one.url))
    path = written(tmp_path / "page.html", "a <b>title</b>")
    found.goto(path.as_uri())
    yield found
    found.close()
    assert said == []
    assert asked == [path.as_uri()]


@pytest.mark.slow
def test_the_map_has_every_package_by_its_size(opened: Any) -> None:
    assert opened.inner_text("#title") == "a <b>title</b>"
    boxes = {one.get_attribute("data-key"): one.bounding_box() for one in opened.locator("#map button").all()}
    assert {"debian:libavcodec61", "debian:ffmpeg", "python:torch-vision", "project:source"} <= boxes.keys()
    area = {key: box["width"] * box["height"] for key, box in boxes.items() if box}
    assert (
        area["debian:libavcodec61"]
        > area["debian:ffmpeg"]
        > area["python:torch-vision"]
        > area["debian:bash"]
    )
    ratio = area["debian:libavcodec61"] / area["debian:ffmpeg"]
    assert 2.0 < ratio < 3.1, "258048 by 106496 bytes on disk"
    whole = opened.locator("#map").bounding_box()
    assert sum(area.values()) > 0.6 * whole["width"] * whole["height"]
    assert overlaps([box for box in boxes.values() if box]) == 0


def overlaps(boxes: list[dict[str, float]]) -> int:
    def apart(one: dict[str, float], other: dict[str, float]) -> bool:
        return (
            one["x"] + one["width"] <= other["x"] + 0.1
            or other["x"] + other["width"] <= one["x"] + 0.1
            or one["y"] + one["height"] <= other["y"] + 0.1
            or other["y"] + other["height"] <= one["y"] + 0.1
        )

    return sum(not apart(one, other) for at, one in enumerate(boxes) for other in boxes[:at])


@pytest.mark.slow
def test_groups_and_sizes_can_be_chosen(opened: Any) -> None:
    groups = opened.locator("#map .group > span")
    assert any("ffmpeg is asked for in cog.yaml" in text for text in groups.all_inner_texts())
    opened.select_option("#group", "layer")
    assert any(text.startswith("system-packages: ") for text in groups.all_inner_texts())
    opened.select_option("#group", "kind")
    assert any(text.startswith("Debian packages: ") for text in groups.all_inner_texts())
    opened.select_option("#size", "2")
    pulled = opened.locator("#map button[data-key='debian:ffmpeg']").get_attribute("title")
    assert pulled.endswith("as pulled")
    assert opened.locator("#packages th[aria-sort] button").inner_text() == "as pulled"


@pytest.mark.slow
def test_a_package_says_why_it_is_there(opened: Any) -> None:
    opened.click("#map button[data-key='debian:libavcodec61']")
    told = opened.inner_text("#detail")
    assert "libavcodec61 7:7.1-1" in told
    assert "ffmpeg is asked for in cog.yaml" in told
    assert "ffmpeg needs libavcodec61" in told
    assert "/usr/lib/libavcodec.so" in told
    assert opened.locator("#map button[aria-pressed=true]").count() == 1


@pytest.mark.slow
def test_packages_are_found_by_name_and_file(opened: Any) -> None:
    opened.fill("#search", "LIBAVCODEC.so")
    assert opened.inner_text("#found").startswith("1 of 15 packages")
    assert opened.locator("#packages tbody tr").count() == 1
    assert opened.locator("#map button:not(.other)").count() == 1
    opened.fill("#search", "no such thing")
    assert opened.inner_text("#found").startswith("0 of 15 packages")
    opened.fill("#search", "")
    assert opened.locator("#packages tbody tr").count() == 15


@pytest.mark.slow
def test_layers_of_other_images_are_told(opened: Any) -> None:
    rows = opened.locator("#layers tbody tr").all_inner_texts()
    assert len(rows) == 5
    assert [row.rsplit("\t", 1)[1] for row in rows] == ["my-model:v1"] * 2 + ["no other image here"] * 3


@pytest.mark.slow
def test_the_table_is_sorted_by_a_column(opened: Any) -> None:
    first = opened.locator("#packages tbody tr:first-child td:first-child")
    assert first.inner_text() == "libavcodec61"
    opened.click("#packages th button >> text=package")
    assert first.inner_text() == "bash"
    opened.click("#packages th button >> text=package")
    assert first.inner_text() == "torch-vision"


@pytest.mark.slow
def test_it_goes_by_the_keyboard_and_on_a_narrow_screen(opened: Any) -> None:
    opened.focus("#map button[data-key='python:numpy']")
    opened.keyboard.press("Enter")
    assert "numpy 2.2" in opened.inner_text("#detail")
    opened.set_viewport_size({"width": 400, "height": 800})
    opened.wait_for_function("document.querySelector('#map').clientWidth < 400")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 400
