"""The HTTP client of downloads and registries: whom it trusts, and where a redirect may lead.

A redirect to another origin takes no Authorization header along (httpx sees to that), none leads from TLS to
plain HTTP, and no cookies are kept: they know neither ports nor schemes (RFC 6265, section 8.5), and nothing
that is fetched here needs them.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

from cog_nix import __version__
from cog_nix.errors import FetchError
from cog_nix.fetch import urls
from cog_nix.system.certificate import BUNDLES

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping

    import httpx

_BEFORE = "cog_nix.before"
"""The request extension that holds the URL that redirected to this one: httpx hands extensions on."""


def new_client(
    *, timeout: float, connections: int, direct: Iterable[str] = (), headers: Mapping[str, str] | None = None
) -> httpx.Client:
    """Return a client with the machine's proxies and certificates; use it as a context manager, or close it.

    HTTP/1.1: large files over one HTTP/2 connection hold each other up.

    Args:
        timeout: seconds without a byte.
        connections: at once.
        direct: hosts that no proxy reaches; an IPv6 address in brackets.
        headers: of each request.

    Raises:
        FetchError: the certificates cannot be read, or the proxy's settings cannot be used.
    """
    # httpx goes without its own command line where that is missing: half of its import is that, with rich and
    # pygments.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type] # "import, The module cache"
    from http.cookiejar import CookieJar, DefaultCookiePolicy  # noqa: PLC0415 - as httpx, which has it

    import httpx  # noqa: PLC0415 - costs a tenth of a second; a build with a full cache never needs it

    try:
        return httpx.Client(
            verify=tls_context(),
            follow_redirects=True,
            timeout=httpx.Timeout(timeout, connect=15),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            headers={"User-Agent": f"cog-nix/{__version__}", **(headers or {})},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            event_hooks={"request": [_refuse_downgrade]},
            mounts={f"all://{host}": None for host in direct},
        )
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise FetchError(
            f"cannot use the configured proxy: {error}",
            hint="Correct HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or unset it.",
        ) from error


def _refuse_downgrade(request: httpx.Request) -> None:
    """Look at each request of a chain of redirects before it is sent."""
    import httpx  # noqa: PLC0415 - see above

    before = request.extensions.get(_BEFORE, "")
    url = str(request.url)
    if before.startswith("https:") and not url.startswith("https:"):
        raise httpx.UnsupportedProtocol(
            f"{urls.host_of(before)} redirects to {urls.shown(url)}, which is without TLS", request=request
        )
    request.extensions[_BEFORE] = url


def tls_context() -> ssl.SSLContext:
    """Return whom to trust: the first of :data:`BUNDLES` that is set, otherwise the system and certifi.

    Raises:
        FetchError: the named file cannot be read.
    """
    variable = next((name for name in BUNDLES if os.environ.get(name)), "")
    path = os.environ.get(variable, "")
    try:
        return _trusting(path, os.stat(path).st_mtime_ns if path else os.environ.get("SSL_CERT_DIR"))  # noqa: PTH116 - text
    except OSError as error:
        raise FetchError(
            f"cannot read the certificate authorities in {path} ({variable}): {error.strerror or error}",
            hint=f"Point {variable} at a file of PEM certificates, or unset it.",
        ) from error


@cache
def _trusting(path: str, _state: object) -> ssl.SSLContext:
    """Return a context for a file or folder, as it is now; "": the system's, and certifi's.

    Reading them takes 25 ms, and a command may make a dozen clients.
    """
    import ssl  # noqa: PLC0415 - only downloads need it

    if os.path.isdir(path):  # noqa: PTH112 - requests allows a folder in REQUESTS_CA_BUNDLE
        return ssl.create_default_context(capath=path)
    if path:
        return ssl.create_default_context(cafile=path)
    import certifi  # noqa: PLC0415 - comes with httpx; a machine may have no certificates of its own

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
