"""What servers answer, one thing after the other, whatever they are asked for."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from hypothesis import strategies as st

from cog_nix.fetch.retry import RetryPolicy
from cog_nix.registry import client
from tests.fuzz.mutations import TEXTS, encoded, json_texts, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

ONCE = RetryPolicy(attempts=1, delay=0, longest=0)
"""A second try would bring nothing new."""
Answers = list[tuple[int, dict[str, str], bytes]]
"""Status, headers and body of each."""
_HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("location", "range", "www-authenticate", "retry-after", "content-type", "content-length"),
            *("docker-content-digest", "oci-chunk-min-length", "oci-chunk-max-length", "content-encoding"),
            *("etag", "content-range", "last-modified"),
        ]
    ),
    st.one_of(
        st.sampled_from([*TEXTS, "gzip", "br", "bytes 0-1/2", "0-5", "/v2/x", "/v2/x?a", "text/html"]),
        texts('Bearer realm="https://127.0.0.1:1/token",service="s",scope="a"', "Basic realm=x"),
    ),
    max_size=4,
)
_STATUSES = st.sampled_from(
    [200, 200, 200, 201, 202, 204, 206, 301, 307, 400, 401, 404, 416, 429, 500, 600, 999]
)


@st.composite
def answers_with(draw: st.DrawFn, *bodies: Any) -> Answers:
    body = st.one_of(json_texts(*bodies).map(encoded), st.binary(max_size=20), st.just(b"a" * 64))
    return draw(st.lists(st.tuples(_STATUSES, _HEADERS, body), min_size=1, max_size=5))


class Said(httpx.BaseTransport):
    """Answers one request after the other, the last again and again."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._number = -1

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._number += 1
        status, headers, body = self._answers[min(self._number, len(self._answers) - 1)]
        raw = [
            (name.encode(), value.encode("utf-8", "surrogatepass").translate(None, b"\r\n\0"))
            for name, value in headers.items()
        ]
        return httpx.Response(status, headers=raw, stream=httpx.ByteStream(body), request=request)


def client_of(answers: Answers) -> httpx.Client:
    return httpx.Client(transport=Said(answers), follow_redirects=True)


@contextmanager
def served(answers: Answers) -> Iterator[None]:
    """While it lasts, registries are the answers."""
    former = client.new_client
    client.new_client = lambda _host="": client_of(answers)  # type: ignore[assignment]
    try:
        yield
    finally:
        client.new_client = former
