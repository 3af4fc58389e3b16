"""The playground's server: its routes, who may use them, and what goes through to a model and back."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

import cog_nix
from cog_nix.cli.app import run
from cog_nix.errors import CogNixError
from cog_nix.playground import Playground, Settings
from cog_nix.playground.access import is_loopback_host, may_ask
from cog_nix.playground.events import Hub, as_event

if TYPE_CHECKING:
    from .conftest import Model

BIG = 10 * 1024 * 1024


def ask(
    playground: Playground, method: str, path: str, body: bytes = b"", /, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of an answer; ``_`` in a header's name stands for ``-``."""
    connection = http.client.HTTPConnection("127.0.0.1", playground.port, timeout=20)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    answer = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return answer


def test_the_page_and_its_parts(playground: Playground) -> None:
    status, headers, body = ask(playground, "GET", "/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for name in ("style.css", "app.js", "schema.js", "form.js", "output.js", "api.js"):
        status, headers, part = ask(playground, "GET", f"/{name}")
        assert status == 200
        assert part
        assert "javascript" in headers["Content-Type"] or name == "style.css"
    assert b'src="app.js"' in body
    for path in ("/..%2fserver.py", "/../server.py", "/page/app.js", "/none"):
        assert ask(playground, "GET", path)[0] == 404


def test_settings_that_the_page_asks_for(playground: Playground, model: Model) -> None:
    status, _, body = ask(playground, "GET", "/config")
    assert status == 200
    assert json.loads(body) == {
        "target": model.url,
        "webhookBase": f"http://127.0.0.1:{playground.port}",
        "cogVersion": cog_nix.__version__,
    }
    assert playground.url == f"http://127.0.0.1:{playground.port}/", "0.0.0.0 is no address to browse to"
    playground.notice("run.py:1: broken")
    assert json.loads(ask(playground, "GET", "/config")[2])["notice"] == "run.py:1: broken"
    playground.notice("")
    assert "notice" not in json.loads(ask(playground, "GET", "/config")[2])


def test_every_answer_is_guarded(playground: Playground, model: Model) -> None:
    for path, headers in (
        ("/", {}),
        ("/none", {}),
        ("/proxy/x", {"X_Cog_Target": model.url}),
        ("/config", {}),
    ):
        _, answered, _ = ask(playground, "GET", path, **headers)
        assert answered["X-Content-Type-Options"] == "nosniff"
        assert answered["X-Frame-Options"] == "DENY"
        assert answered["Referrer-Policy"] == "no-referrer"
        policy = answered["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "evil.test"}, id="rebound-name"),
        pytest.param({"Host": "127.0.0.1.evil.test"}, id="name-that-looks-like-it"),
        pytest.param({"Origin": "http://evil.test"}, id="other-origin"),
        pytest.param({"Origin": "null"}, id="no-origin"),
        pytest.param({"Origin": "file://"}, id="file"),
        pytest.param({"Origin": "http://127.0.0.1:1"}, id="other-port"),
        pytest.param({"Sec_Fetch_Site": "cross-site"}, id="cross-site"),
        pytest.param({"Sec_Fetch_Site": "same-site"}, id="same-site"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/config", "/events?token=a", "/proxy/health-check"])
def test_other_sites_may_not_use_it(
    playground: Playground, model: Model, headers: dict[str, str], path: str
) -> None:
    status, _, body = ask(playground, "GET", path, X_Cog_Target=model.url, **headers)
    assert (status, body) == (403, b"playground UI and proxy are only available from this browser\n")
    assert model.asked == []


def test_other_machines_may_not_use_it() -> None:
    headers = http.client.HTTPMessage()
    headers["Host"] = "127.0.0.1:1"
    assert may_ask("127.0.0.1", headers)
    assert may_ask("::1", headers)
    assert may_ask("::ffff:127.0.0.1", headers)
    assert not may_ask("192.0.2.1", headers)
    assert not may_ask("::ffff:192.0.2.1", headers)
    assert not may_ask("", headers)


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", True),
        ("LOCALHOST:80", True),
        ("127.0.0.2:9000", True),
        ("[::1]:80", True),
        ("", False),
        ("localhost.evil.test", False),
        ("192.0.2.1:80", False),
        ("[::1", False),
    ],
)
def test_hosts_of_this_machine(host: str, *, answer: bool) -> None:
    assert is_loopback_host(host) is answer


def test_a_page_of_its_own_may(playground: Playground) -> None:
    origin = f"http://127.0.0.1:{playground.port}"
    assert ask(playground, "GET", "/config", Origin=origin, Sec_Fetch_Site="same-origin")[0] == 200


def test_what_goes_to_a_model_and_comes_back(playground: Playground, model: Model) -> None:
    status, headers, body = ask(
        playground,
        "PUT",
        "/proxy/predictions/a%2Fb?x=1",
        b'{"input": {}}',
        X_Cog_Target=f"{model.url}/base/",
        Prefer="respond-async",
        Content_Type="application/json",
        Authorization="Bearer secret",
        Cookie="session=secret",
        Referer=playground.url,
    )
    assert status == 201
    assert json.loads(body) == {"method": "PUT", "path": "/base/predictions/a%2Fb?x=1"}
    [(_, _, asked, sent)] = model.asked
    assert sent == b'{"input": {}}'
    assert asked["Prefer"] == "respond-async"
    assert asked["Host"] == urlsplit(model.url).netloc
    assert not {"Authorization", "Cookie", "Referer", "Origin", "X-Cog-Target"} & set(asked)
    assert not {"Set-Cookie", "Clear-Site-Data"} & set(headers)
    assert headers["Cache-Control"] == "no-store"
    encoded = headers["X-Cog-Upstream-Headers"]
    described = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    assert described["X-Model"] == ["one", "two"]
    assert described["Content-Type"] == ["application/json"]
    assert "Set-Cookie" not in described


def test_a_redirect_leads_nowhere(playground: Playground, model: Model) -> None:
    status, headers, _ = ask(playground, "GET", "/proxy/away", X_Cog_Target=model.url)
    assert status == 307
    assert "Location" not in headers


def test_a_stream_comes_as_it_is_sent(playground: Playground, model: Model) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", playground.port, timeout=20)
    connection.request("POST", "/proxy/stream", b"{}", {"X-Cog-Target": model.url})
    response = connection.getresponse()
    assert response.read1() == b"event: start\ndata: {}\n\n", "before the model has sent the rest"
    model.more.set()
    assert response.read() == b"event: completed\ndata: {}\n\n"
    connection.close()


def test_a_model_is_told_that_nobody_waits_any_more(playground: Playground, model: Model) -> None:
    connection = socket.create_connection(("127.0.0.1", playground.port))
    connection.sendall(
        f"POST /proxy/slow HTTP/1.1\r\nHost: 127.0.0.1:{playground.port}\r\nX-Cog-Target: {model.url}\r\n"
        "Content-Length: 2\r\n\r\n{}".encode()
    )
    deadline = time.monotonic() + 20
    while not model.asked and time.monotonic() < deadline:
        time.sleep(0.01)
    connection.close()
    assert model.left.wait(20)


@pytest.mark.parametrize(
    ("target", "status", "said"),
    [
        ("", 400, "no target API set"),
        ("ftp://127.0.0.1", 400, "invalid target API URL"),
        ("http://", 400, "invalid target API URL"),
        ("http://user:secret@127.0.0.1", 400, "invalid target API URL"),
        ("http://127.0.0.1/#x", 400, "invalid target API URL"),
        ("http://127.0.0.1:99999", 400, "invalid target API URL"),
        ("http://127.0.0.1:1", 502, "cannot reach target API: "),
    ],
)
def test_targets_that_cannot_be_asked(playground: Playground, target: str, status: int, said: str) -> None:
    answered, headers, body = ask(playground, "GET", "/proxy/", X_Cog_Target=target)
    assert (answered, headers["Content-Type"]) == (status, "application/json")
    assert json.loads(body)["error"].startswith(said)


class Listener:
    """A page that waits for deliveries."""

    def __init__(self, playground: Playground, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", playground.port, timeout=20)
        self._connection.request("GET", f"/events?token={token}")
        self.response = self._connection.getresponse()

    def __enter__(self) -> http.client.HTTPResponse:
        return self.response

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self._connection.close()


def test_a_webhook_reaches_the_page_that_waits_for_it(playground: Playground) -> None:
    with Listener(playground, "token") as page, Listener(playground, "other") as other:
        assert page.getheader("Content-Type") == "text/event-stream"
        # From a container: another Host, no loopback, no Origin.
        status, _, body = ask(
            playground, "POST", "/webhook/token", b'{"a":\r\n1}', Host="host.docker.internal:9000"
        )
        assert (status, body) == (200, b"{}")
        assert page.read1() == b'data: {"a":\ndata: 1}\n\n'
        ask(playground, "POST", "/webhook/other", b"2")
        assert other.read1() == b"data: 2\n\n"


@pytest.mark.parametrize(
    ("method", "path", "size", "status"),
    [
        ("POST", "/webhook/", 2, 404),
        ("POST", "/webhook/a/b", 2, 404),
        ("POST", f"/webhook/{'a' * 129}", 2, 404),
        ("GET", "/webhook/token", 0, 405),
        ("POST", "/webhook/nobody", 2, 503),
        ("POST", "/webhook/token", BIG + 1, 413),
        ("POST", "/webhook/token", BIG, 200),
    ],
)
def test_which_webhooks_are_taken(
    playground: Playground, method: str, path: str, size: int, status: int
) -> None:
    with Listener(playground, "token"):
        connection = http.client.HTTPConnection("127.0.0.1", playground.port, timeout=20)
        connection.putrequest(method, path)
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        if size <= BIG:
            connection.send(bytes(size))
        assert connection.getresponse().status == status
        connection.close()


def test_more_than_sixteen_webhooks_at_once_are_refused(playground: Playground) -> None:
    waiting = []
    with Listener(playground, "token"):
        for _ in range(16):
            one = http.client.HTTPConnection("127.0.0.1", playground.port, timeout=20)
            one.putrequest("POST", "/webhook/token")
            one.putheader("Content-Length", "2")
            one.endheaders()
            waiting.append(one)
        deadline = time.monotonic() + 20
        while (status := ask(playground, "POST", "/webhook/token", b"{}")[0]) != 429:
            assert status == 200, "until the sixteen have been read"
            assert time.monotonic() < deadline
        for one in waiting:
            one.send(b"{}")
        assert {one.getresponse().status for one in waiting} <= {200, 503}
        for one in waiting:
            one.close()


def test_a_page_that_is_behind_loses_deliveries_and_delays_nobody() -> None:
    hub = Hub()
    with hub.subscribed("a") as behind:
        assert [hub.publish("a", b"%d" % number) for number in range(6)] == [True] * 4 + [False] * 2
        assert behind.get_nowait() == b"0"
    assert not hub.has_listeners("a")
    assert not hub.publish("a", b"")


def test_no_line_of_a_delivery_begins_another_field() -> None:
    assert as_event(b"a\rid: 1\r\nevent: x\n") == b"data: a\ndata: id: 1\ndata: event: x\ndata: \n\n"


def test_a_port_that_is_taken(capfd: pytest.CaptureFixture[str]) -> None:
    with Playground(Settings()) as first:
        with pytest.raises(CogNixError, match="Address already in use") as caught:
            Playground(Settings(port=first.port))
        assert "--port" in caught.value.hint
        assert run(["playground", "--no-open", "-p", str(first.port)]) == 1
    assert f"starting playground server: listen on 127.0.0.1:{first.port}" in capfd.readouterr().err


def test_over_ipv6() -> None:
    with Playground(Settings("::1")) as running:
        assert running.url == f"http://[::1]:{running.port}/"
        connection = http.client.HTTPConnection("::1", running.port, timeout=20)
        connection.request("GET", "/config")
        assert connection.getresponse().status == 200
        connection.close()


def test_the_command_ends_with_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    def pause() -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("signal.pause", pause)
    others = set(threading.enumerate())  # servers of other tests
    assert run(["playground"]) == 0
    [url] = opened
    assert capfd.readouterr().err == f"Cog playground running at {url}\nPress Ctrl+C to stop.\n"
    assert not [one for one in threading.enumerate() if "serve_forever" in one.name and one not in others]
