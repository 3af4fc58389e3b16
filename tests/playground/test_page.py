"""The playground's page, in Chromium, with a model that runs without a daemon."""

from __future__ import annotations

import functools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cog_nix.signature import document
from conftest import ROOT, copy_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
pytestmark = [pytest.mark.nix, pytest.mark.network]
PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
SECONDS = 30_000
"""Milliseconds that the page has for what it is waited for, on a busy machine."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the model with its playground; yield the page's URL."""
    with serving(tmp_path_factory.mktemp("served") / "cog-nix-test-talker") as url:
        yield url


@contextmanager
def serving(root: Path, *flags: str) -> Iterator[str]:
    """Serve a copy of the model with its playground; yield the page's URL."""
    port = free_port()
    command = [sys.executable, "-m", "cog_nix", "--runtime", "bundle"]
    command += ["serve", "-p", str(port), "--playground", "--playground-port", "0", *flags]
    server = subprocess.Popen(
        command,
        cwd=copy_project(HERE / "projects/talker", root),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "hooks"))},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr is not None
    said = []
    url = ""
    for line in server.stderr:
        said.append(line)
        if found := re.match(r"Playground at (\S+)", line):
            url = found[1]
            break
    assert url, "".join(said)
    deadline = time.monotonic() + 120
    while not _ready(port):
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield url
    server.terminate()
    _, rest = server.communicate(timeout=60)
    assert server.returncode == 0, rest


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health-check", timeout=5) as answer:
            return b'"READY"' in answer.read()
    except OSError:
        return False


@pytest.fixture
def page(browser: Any, served: str) -> Iterator[Any]:
    """Yield the page, connected to the model."""
    with opened(browser, served) as page:
        yield page


@contextmanager
def opened(browser: Any, url: str) -> Iterator[Any]:
    """Yield a page that is connected to its model; nothing may be said on the console."""
    page = browser.new_page()
    page.set_default_timeout(SECONDS)
    said: list[str] = []
    page.on("console", lambda one: said.append(one.text) if one.type in {"error", "warning"} else None)
    page.on("pageerror", lambda one: said.append(str(one)))
    page.goto(url)
    page.wait_for_selector("#send:enabled")
    page.wait_for_selector("#health[data-health]:not([data-health=unreachable])")
    yield page
    page.close()
    assert [one for one in said if "status of" not in one] == [], "what a model refuses is told as a status"


def finish(page: Any, status: str = "succeeded") -> str:
    page.wait_for_selector(
        "#status:is([data-status=succeeded], [data-status=failed], [data-status=canceled])"
    )
    told = str(page.inner_text("#status"))
    assert page.get_attribute("#status", "data-status") == status, told
    return told


def wait_for(page: Any, selector: str, text: str) -> None:
    from playwright.sync_api import expect  # noqa: PLC0415 - as above

    expect(page.locator(selector)).to_have_text(text, timeout=SECONDS)


def test_the_form_is_the_models(page: Any) -> None:
    wait_for(page, "#health-text", "READY")
    assert page.locator("#fields .field > label").all_inner_texts() == [
        "text text, required",
        "times integer",
        "tone choice",
        "attached file",
        "pause number",
    ]
    assert page.input_value("#input-times") == "2"
    assert "At most 5." in page.inner_text("#input-times-about")
    page.get_by_label("text text, required").fill("hello")
    page.get_by_label("tone choice").select_option(label="loud")
    page.click("#send")
    assert finish(page).startswith("succeeded in ")
    assert page.inner_text("#output") == "HELLO HELLO "
    assert "saying hello" in page.text_content("#logs pre")
    assert "predict_time" in page.text_content("#metrics")
    page.locator("#setup pre", has_text="ready to talk").wait_for(state="attached")
    assert '"text": "hello"' in page.text_content("#request pre")
    assert page.text_content("#response pre").startswith("200 OK\n")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("text", "", "text is required"),
        ("text", "a" * 21, "text must have at most 20 characters"),
        ("times", "6", "times must be at most 5"),
        ("times", "1.5", "times must be an integer"),
        ("pause", "-1", "pause must be at least 0"),
    ],
)
def test_inputs_that_do_not_fit_are_not_sent(page: Any, name: str, value: str, said: str) -> None:
    page.fill("#input-text", "ok")
    page.fill(f"#input-{name}", value)
    page.click("#send")
    wait_for(page, f"#input-{name}-error", said)
    assert page.get_attribute(f"#input-{name}", "aria-invalid") == "true"
    assert page.evaluate("document.activeElement.id") == f"input-{name}", "where it has to be mended"
    assert page.inner_text("#status") == "Nothing has been asked for yet."


def test_the_same_as_json(page: Any) -> None:
    page.fill("#input-text", "typed")
    page.check('input[name="editor"][value="json"]')
    assert '"text": "typed"' in page.input_value("#json")
    for text, said in (
        ("{", "JSON"),
        ("[]", "the input is an object"),
        ('{"text": "a", "times": 9}', "times must be at most 5"),
        ('{"text": "a", "nope": 9}', 'there is no input "nope"'),
    ):
        page.fill("#json", text)
        page.click("#send")
        assert said in page.inner_text("#json-error")
    page.fill("#json", '{"text": "json", "times": 1}')
    page.click("#send")
    finish(page)
    assert page.inner_text("#output") == "json "
    page.check('input[name="editor"][value="form"]')
    assert page.input_value("#input-text") == "json"


def test_a_file_goes_along(page: Any, tmp_path: Path) -> None:
    (tmp_path / "small.bin").write_bytes(b"12345")
    with (tmp_path / "large.bin").open("wb") as large:
        large.truncate(16 * 1024 * 1024 + 1)
    page.fill("#input-text", "sent")
    picker = page.get_by_label("file for attached")
    picker.set_input_files(tmp_path / "large.bin")
    page.get_by_text("up to 16 MiB can be sent from here").wait_for()
    picker.set_input_files(tmp_path / "small.bin")
    page.get_by_text("small.bin, 5 bytes").wait_for()
    page.click("#send")
    finish(page)
    assert page.inner_text("#output") == "sent sent with 5 bytes"


def test_a_stream_is_shown_while_it_comes(page: Any) -> None:
    page.fill("#input-text", "drip")
    page.fill("#input-times", "3")
    page.fill("#input-pause", "0.5")
    page.check('input[name="mode"][value="stream"]')
    page.click("#send")
    wait_for(page, "#output", "drip")
    assert page.get_attribute("#status", "data-status") == "processing"
    finish(page)
    assert page.inner_text("#output") == "drip drip drip "
    events = page.text_content("#timeline")
    for step in ("request sent", "answer 200", "start: processing", "output 2", "completed: succeeded"):
        assert step in events


def test_by_webhook(page: Any) -> None:
    page.fill("#input-text", "later")
    page.check('input[name="mode"][value="async"]')
    page.click("#send")
    finish(page)
    assert page.inner_text("#output") == "later later "
    assert "answer 202" in page.text_content("#timeline")
    assert "webhook: succeeded" in page.text_content("#timeline")


@pytest.mark.parametrize("mode", ["sync", "stream", "async"])
def test_it_can_be_canceled(page: Any, mode: str) -> None:
    page.fill("#input-text", "long")
    page.fill("#input-times", "5")
    page.fill("#input-pause", "10")
    page.check(f'input[name="mode"][value="{mode}"]')
    for _ in range(2):  # the second time at once: the model says for a moment that it is busy with the first
        page.click("#send")
        wait_for(page, "#health-text", "BUSY")
        page.click("#cancel")
        finish(page, "canceled")
        page.wait_for_selector("#send:enabled")
    wait_for(page, "#health-text", "READY")


@pytest.mark.parametrize("mode", ["sync", "stream", "async"])
def test_what_the_model_does_not_know_yet_is_canceled_once_it_does(page: Any, mode: str) -> None:
    """A model that is still busy with the one before answers 409 to it, and 404 to its cancellation."""
    late = [True, True]
    page.route(
        "**/cancel", lambda route: route.fulfill(status=404) if late and late.pop() else route.continue_()
    )
    page.fill("#input-text", "long")
    page.fill("#input-times", "5")
    page.fill("#input-pause", "10")
    page.check(f'input[name="mode"][value="{mode}"]')
    page.click("#send")
    wait_for(page, "#health-text", "BUSY")
    page.click("#cancel")
    finish(page, "canceled")
    assert not late
    wait_for(page, "#health-text", "READY")


def test_with_an_id_it_is_put(page: Any) -> None:
    page.fill("#input-text", "once")
    page.click("summary:text-is('Id')")
    page.fill("#id", "my-own")
    page.click("#send")
    finish(page)
    assert page.text_content("#request pre").startswith("PUT /predictions/my-own\n")
    assert '"id": "my-own"' in page.text_content("#response pre")


def test_a_training(page: Any, trainer: str) -> None:
    """A server that trains is a process of its own, so something else answers here."""
    page.fill("#target", trainer)
    page.click("#target-form button")
    page.wait_for_selector("#kind:visible")
    page.check('input[name="kind"][value="trainings"]')
    page.fill("#input-steps", "3")
    page.click("#send")
    finish(page)
    assert page.inner_text("#output figcaption a") == "Save output.png"
    assert page.text_content("#request pre").startswith("POST /trainings\n")
    assert page.evaluate("document.querySelector('#output img').naturalWidth") == 1


@pytest.fixture
def trainer() -> Iterator[str]:
    """Yield the URL of what answers as a training server: with a picture of one pixel."""
    schema = document(HERE / "projects/talker", "run.py:Runner", "train.py:train", "0.23.1")
    trained = json.dumps({"status": "succeeded", "output": PIXEL})
    with answering(schema, lambda path: (200, trained) if path == "/trainings" else (404, "")) as url:
        yield url


@contextmanager
def answering(schema: str, answer: Callable[[str], tuple[int, str]]) -> Iterator[str]:
    """Yield the URL of what stands for a model.

    Args:
        schema: its document.
        answer: status and JSON for the path of any other request.
    """
    known = {"/openapi.json": (200, schema), "/health-check": (200, '{"status": "READY"}')}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = known.get(self.path) or answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("refusals", "told"), [(3, "succeeded in "), (10**6, "failed: 409: busy")], ids=["a-moment", "for-ever"]
)
def test_a_model_that_is_busy_for_a_moment_is_asked_again(page: Any, refusals: int, told: str) -> None:
    """Cog's server answers 409 until it has seen the end of what it did before."""
    schema = document(HERE / "projects/talker", "run.py:Runner", None, "0.23.1")
    asked: list[str] = []

    def answer(path: str) -> tuple[int, str]:
        asked.append(path)
        refused = len(asked) <= refusals
        return (409, '{"error": "busy"}') if refused else (200, '{"status": "succeeded", "output": ["ok"]}')

    with answering(schema, answer) as url:
        page.fill("#target", url)
        page.click("#target-form button")
        page.wait_for_selector("#send:enabled")
        page.fill("#input-text", "hello")
        page.click("#send")
        assert finish(page, told.split(maxsplit=1)[0].rstrip(":")).startswith(told)
    assert asked[:4] == ["/predictions"] * 4


def test_a_model_that_is_not_there(page: Any) -> None:
    page.fill("#target", "http://127.0.0.1:1")
    page.click("#target-form button")
    page.get_by_text("cannot reach target API").wait_for()
    wait_for(page, "#health-text", "unreachable")
    assert page.is_disabled("#send")


def test_a_page_of_another_site_gets_nothing(browser: Any, served: str, elsewhere: str) -> None:
    """Another port is another origin, and reaches this machine as a page on it may."""
    page = browser.new_page()
    page.goto(elsewhere)
    with page.expect_response(lambda one: one.url.endswith("/proxy/health-check")) as refused:
        page.evaluate("(url) => { fetch(url + 'proxy/health-check', { mode: 'no-cors' }) }", served)
    assert refused.value.status == 403
    page.evaluate("(url) => { document.body.innerHTML = `<iframe src='${url}'></iframe>` }", served)
    frame = page.wait_for_selector("iframe").content_frame()
    frame.wait_for_load_state()
    assert "Model API" not in frame.content(), "nor can it be shown in a frame"
    page.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a page of another origin."""
    (tmp_path / "index.html").write_text("<!doctype html><title>elsewhere</title><body>")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_dark_and_light_and_by_keyboard(page: Any) -> None:
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.focus("#theme")
    page.keyboard.press("Enter")
    assert page.get_attribute("#theme", "aria-pressed") == "true"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(22, 24, 28)")
    page.reload()
    page.wait_for_selector("#send:enabled")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    page.focus("#input-text")
    page.keyboard.type("keys")
    page.focus("#send")
    page.keyboard.press("Enter")
    finish(page)
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input, select, textarea, button")]
            .filter((one) => !one.labels?.length && !one.textContent && !one.getAttribute("aria-label"))
            .map((one) => one.outerHTML)"""
    )
    assert unnamed == [], "each control has a name for those who do not see it"


def test_an_edit_reaches_the_page_that_is_open(browser: Any, tmp_path: Path) -> None:
    """`serve --watch --playground`: new answers, what is wrong with the source, and another form."""
    root = tmp_path / "cog-nix-test-edited"
    with serving(root, "--watch") as url, opened(browser, url) as page:
        source = root / "run.py"
        page.fill("#input-text", "kept")
        answers(page, "kept kept ")
        edit(source, '{said} "', '{said}! "')
        answers(page, "kept! kept! ")

        edit(source, "class Runner(", "class Runner((")
        page.wait_for_selector("#notice:visible")
        told = page.inner_text("#notice")
        assert "run.py:6: failed to parse Python source" in told
        assert "The model goes on as it was" in told
        answers(page, "kept! kept! ")
        edit(source, "class Runner((", "class Runner(")
        page.wait_for_selector("#notice", state="hidden")

        edit(source, "pause: float =", 'ending: str = Input(default=""), pause: float =')
        edit(source, '{said}! "', '{said}{ending} "')
        page.get_by_label("ending text").fill("?")
        assert page.input_value("#input-text") == "kept", "what was typed stays"
        answers(page, "kept? kept? ")


def edit(source: Path, before: str, after: str) -> None:
    text = source.read_text()
    assert before in text
    source.write_text(text.replace(before, after))


def answers(page: Any, expected: str) -> None:
    """Ask until the model answers so: it is cut off while it starts again."""
    deadline = time.monotonic() + SECONDS / 1000
    while True:
        page.wait_for_selector("#send:enabled")
        page.click("#send")
        page.wait_for_selector("#status:is([data-status=succeeded], [data-status=failed])")
        if page.text_content("#output") == expected:
            return
        assert time.monotonic() < deadline, page.inner_text("#status")
        page.wait_for_timeout(100)
