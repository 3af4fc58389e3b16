# ruff: noqa: INP001, T201 - a script
"""Draw docs/images/explain.png, the README's picture: what examples/audio-waveform consists of.

::

    python scripts/draw_picture.py

It builds the example, writes its page with ``cog-nix explain`` and opens that in Chromium. The same image
makes the same picture, but for the machine's fonts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs/images/explain.png"
EXAMPLE = "audio-waveform"
WIDTH, HEIGHT = 960, 770
LARGEST = 150_000
"""Bytes: a README is read over slow lines as well."""


def draw(page: Path, picture: Path) -> None:
    """Open a page, choose what is worth a look, and take a picture of it."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        window.goto(page.as_uri())
        window.locator("#map button").first.click()
        window.screenshot(path=str(picture))
        browser.close()


def main() -> int:
    """Build, explain, draw."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / EXAMPLE
        shutil.copytree(ROOT / "examples" / EXAMPLE, project, ignore=shutil.ignore_patterns(".cog", "result"))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "hooks")])}
        for command in (["build", "--no-load"], ["explain", "--no-shared", "--html", "page.html"]):
            subprocess.run(
                [sys.executable, "-m", "cog_nix", *command], cwd=project, env=environment, check=True
            )
        PICTURE.parent.mkdir(exist_ok=True)
        draw(project / "page.html", PICTURE)
    size = PICTURE.stat().st_size
    print(f"{PICTURE.relative_to(ROOT)}: {size} bytes")
    return 0 if size < LARGEST else 1


if __name__ == "__main__":
    sys.exit(main())
