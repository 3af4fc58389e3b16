"""What locking fetches when nothing is cached: bytes, counted by a proxy on this machine, and seconds."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.measure import Row, project, timed

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 16
_LENIENCE = 0.05
"""Seconds."""
MB = 1e6
_EXAMPLES = {"hello-world": 45, "torch-demo": 60}
"""By name, the megabytes that should not be exceeded."""


@dataclass
class _Proxy:
    """An HTTP proxy (RFC 9110, section 9.3.6) that counts what goes through it."""

    received: int = 0
    sent: int = 0
    """Of plain HTTP the bodies, and headers that come after the connection was made."""
    port: int = 0
    rate: float = 0
    """Bytes a second that servers are sent; 0: as many as they take."""
    _free: float = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def serve(self, ready: threading.Event) -> None:
        """Serve until the loop is stopped."""
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._handle, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()

    def stop(self) -> None:
        """End serving; called from another thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _handle(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        method, target, _ = (await client.readline()).decode().split()
        headers = []
        while (line := await client.readline()) not in (b"\r\n", b""):
            if not line.lower().startswith((b"proxy-", b"connection:")):
                headers.append(line)
        url = urlsplit(f"//{target}" if method == "CONNECT" else target)
        try:
            server, forth = await asyncio.open_connection(url.hostname, url.port or 80)
        except OSError:  # no such host, or nobody there: clients that hear nothing would wait
            back.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            back.close()
            return
        if method == "CONNECT":
            back.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            path = f"{url.path or '/'}{'?' if url.query else ''}{url.query}"
            forth.write(f"{method} {path} HTTP/1.1\r\n".encode() + b"".join(headers))
            forth.write(b"Connection: close\r\n\r\n")
        await self._join(client, back, server, forth)

    async def _join(
        self,
        client: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        forth: asyncio.StreamWriter,
    ) -> None:
        await asyncio.gather(self._pump(client, forth, up=True), self._pump(server, back, up=False))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, up: bool) -> None:
        with suppress(OSError):
            while chunk := await source.read(_CHUNK):
                if up:
                    self.sent += len(chunk)
                    await self._pause(len(chunk))
                else:
                    self.received += len(chunk)
                sink.write(chunk)
                await sink.drain()
        with suppress(OSError):
            sink.close()

    async def _pause(self, amount: int) -> None:
        """Wait until so many bytes may pass; what a pause was too long comes off the next ones."""
        if self.rate:
            now = time.monotonic()
            self._free = max(self._free, now - _LENIENCE) + amount / self.rate
            await asyncio.sleep(self._free - now)


@dataclass
class _Relay(_Proxy):
    """A port of this machine that is another one, counted: clients use no proxy for loopback addresses."""

    to: int = 0

    async def _handle(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        server, forth = await asyncio.open_connection("127.0.0.1", self.to)
        await self._join(client, back, server, forth)


@contextmanager
def counting_proxy(to: int | None = None, rate: float = 0) -> Iterator[_Proxy]:
    """Yield a proxy of this machine that counts what comes through it.

    Args:
        to: a port of this machine that takes all of it; None: clients say where each request goes.
        rate: bytes a second that servers are sent; 0: as many as they take.
    """
    proxy, ready = _Proxy(rate=rate) if to is None else _Relay(to=to, rate=rate), threading.Event()
    thread = threading.Thread(target=proxy.serve, args=(ready,), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join(5)


def fetched() -> tuple[Row, ...]:
    """Lock hello-world and torch-demo with nothing cached: megabytes from the network, and seconds."""
    rows: list[Row] = []
    for example, most in _EXAMPLES.items():
        with (
            project(example, lock=False) as copy,
            tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as caches,
            counting_proxy() as proxy,
        ):
            url = f"http://127.0.0.1:{proxy.port}"
            copy.env |= {"COG_NIX_CACHE_DIR": f"{caches}/cog-nix", "UV_CACHE_DIR": f"{caches}/uv"}
            copy.env |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), url)
            seconds = timed(1, lambda _, copy=copy: copy.cog_nix("lock"))  # type: ignore[misc]
            rows.append(Row(f"fetched-{example}", "MB", (proxy.received / MB,), most))
            rows.append(Row(f"fetched-{example}", "s", seconds, 10))
    return tuple(rows)
