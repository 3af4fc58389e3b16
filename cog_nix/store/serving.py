"""Serving Nix over HTTP: it opens 25 connections at once, and takes hundreds of small files in a row."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Answers each connection on a thread of its own."""

    daemon_threads = True
    request_queue_size = 128
    """Of the five that Python has, the sixth connection at once would be tried again after a second."""


class Handler(BaseHTTPRequestHandler):
    """Keeps connections open, and says nothing of requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    """An answer goes out in two parts, of which the second would wait for 40 ms."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""
