"""Tries again what failed for a passing reason, and says what to do when it keeps failing."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cog_nix.errors import FetchError
from cog_nix.fetch import urls
from cog_nix.fetch.transport import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently."""

    attempts: int = 5
    """In a row without a byte of progress."""
    delay: float = 0.5
    """Seconds before the second attempt; each further wait is twice as long."""
    longest: float = 20.0


class Cancelled(Exception):  # noqa: N818 - not a failure: another one ended the work
    """The work is being given up: a sibling failed or the user pressed Ctrl-C."""


def retry(
    action: Callable[[], T],
    url: str,
    policy: RetryPolicy,
    *,
    cancelled: threading.Event | None = None,
    progress: Callable[[], int] = lambda: 0,
) -> T:
    """Call ``action`` until it succeeds, at most ``policy.attempts`` times without progress in between.

    Args:
        action: raises TransientError where another attempt may help.
        url: what is fetched, for the message.
        policy: how often.
        cancelled: ends the waiting when set.
        progress: bytes had so far; an attempt that adds some does not count.

    Raises:
        FetchError: every attempt failed.
        Cancelled: the event was set while waiting.
    """
    cancelled = cancelled or threading.Event()
    failures = 0
    had = progress()
    while True:
        try:
            return action()
        except TransientError as error:
            failures = 1 if progress() > had else failures + 1
            had = progress()
            if failures >= policy.attempts:
                raise unreachable(url, error, failures) from error
            # Jitter keeps the parallel downloads from knocking in step.
            backoff = min(policy.delay * 2 ** (failures - 1), policy.longest) * random.uniform(0.75, 1.25)  # noqa: S311
            if cancelled.wait(max(backoff, error.wait)):
                raise Cancelled from error


def unreachable(url: str, error: TransientError, attempts: int) -> FetchError:
    """Return the error for a server that does not answer: which host, which file, what to set."""
    host = urls.host_of(url)
    tries = f"after {attempts} attempts" if attempts > 1 else "at the first attempt"
    lines = [
        f"cannot fetch {urls.filename_of(url) or host} from {host} ({tries}): {error.reason}",
        f"  {urls.shown(url)}",
    ]
    proxy = _proxy_for(url)
    if proxy:
        lines.append(f"  through the proxy {proxy}")
        hint = f"Check the proxy (HTTPS_PROXY), or list {urls.split(url).hostname} in NO_PROXY."
    else:
        hint = f"Check that {host} can be reached from here; behind a proxy set HTTPS_PROXY."
    hint += " To fetch from elsewhere, name another mirror or index and lock again. What has come is kept."
    return FetchError("\n".join(lines), hint=hint)


def _proxy_for(url: str) -> str | None:
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - costs 20 ms; only failures need it

    parts = urls.split(url)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return urls.host_of(proxy) or proxy if proxy else None
