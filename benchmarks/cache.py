"""What an empty machine takes: to build from a binary cache, to push an edit without the layers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.fetched import MB, counting_proxy
from benchmarks.measure import Row, project, timed
from benchmarks.push import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Project

_TIMES = 3
_FETCHED = 50
"""Megabytes that should not be exceeded, by either."""


@contextmanager
def _nothing() -> Iterator[dict[str, str]]:
    """Yield the environment of a machine with an empty store and empty caches."""
    home = Path(tempfile.mkdtemp(prefix="cog-nix-benchmark-"))
    try:
        yield {
            "COG_NIX_STORE": str(home / "store"),
            "COG_NIX_CACHE_DIR": str(home / "cog-nix"),
            "XDG_CACHE_HOME": str(home / "cache"),
        }
    finally:
        subprocess.run(["chmod", "-R", "u+w", home], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def _measured(name: str, copy: Project, target: float, *arguments: str, **env: str) -> tuple[Row, Row]:
    """Run a command on machines without anything; return its seconds, and what it fetched."""
    seconds: list[float] = []
    fetched: list[float] = []
    for _ in range(_TIMES):
        shutil.rmtree(copy.folder / ".cog", ignore_errors=True)
        with _nothing() as empty, counting_proxy() as proxy:
            url = f"http://127.0.0.1:{proxy.port}"
            through = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), url)
            seconds += timed(1, lambda _, env={**empty, **through, **env}: copy.cog_nix(*arguments, **env))  # type: ignore[misc]
            fetched.append(proxy.received / MB)
    return Row(name, "s", tuple(seconds), target), Row(name, "MB", tuple(fetched), _FETCHED)


def from_cache() -> tuple[Row, ...]:
    """Build hello-world where there is nothing but its lock and a binary cache."""
    with project("hello-world") as copy, tempfile.TemporaryDirectory(prefix="cog-nix-benchmark-") as folder:
        public = copy.cog_nix("cache", "key", "benchmark-1", f"{folder}/key").strip()
        copy.cog_nix("cache", "push", f"file://{folder}/cache", "--secret-key", f"{folder}/key")
        serve = [sys.executable, "-m", "cog_nix", "cache", "serve", f"{folder}/cache", "--port", "0"]
        server = subprocess.Popen(
            serve, env={**copy.env}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert server.stdout is not None
            named = {
                "COG_NIX_SUBSTITUTERS": server.stdout.readline().strip(),
                "COG_NIX_TRUSTED_PUBLIC_KEYS": public,
            }
            return _measured("from-cache", copy, 3.0, "build", "--no-load", **named)
        finally:
            server.terminate()
            server.wait()


def thin_push() -> tuple[Row, ...]:
    """Push an edit of hello-world where there is nothing but its lock; the registry holds the layers."""
    with project("hello-world") as copy, registry() as host:
        copy.cog_nix("push", f"{host}/me/model:v1")
        copy.edit()
        return _measured("thin-push", copy, 10.0, "push", f"{host}/me/model:v1")
