"""Logging in to Replicate's registry as upstream does: with a token from the website, checked there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cog_nix.errors import RegistryError
from cog_nix.registry.client import OK, new_client
from cog_nix.registry.failures import NOT_FOUND
from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    import httpx

WEBSITE = "replicate.com"
_API_TOKEN = "r8_"  # noqa: S105 - how tokens of another kind begin


def token_page(base: str) -> str:
    """Return the address of the page that shows a user's token.

    Args:
        base: of the registry, ``https://r8.im``.

    Raises:
        RegistryError: it cannot be had.
    """
    answer = _ask("GET", f"{base}/cog/v1/display-token-url", base)
    if answer.status_code == NOT_FOUND:
        raise RegistryError(
            f"{base} is not the Replicate registry", hint="Please log in using 'docker login'."
        )
    return _field(answer, "url", base)


def check(token: str) -> None:
    """Refuse what is no token for logging in.

    Raises:
        RegistryError: it is none, in upstream's words.
    """
    if token.startswith(_API_TOKEN):
        raise RegistryError(
            "that looks like a Replicate API token, not a CLI auth token. "
            f"Please fetch a token from https://{WEBSITE}/auth/token to log in"
        )
    if not token:
        raise RegistryError("token is empty", hint=f"Fetch one from https://{WEBSITE}/auth/token.")


def username(base: str, token: str) -> str:
    """Return whose token it is.

    Args:
        base: of the registry, ``https://r8.im``.
        token: what the user pasted.

    Raises:
        RegistryError: it is nobody's, or the registry does not say.
    """
    answer = _ask("POST", f"{base}/cog/v1/verify-token", base, {"token": token})
    if answer.status_code == NOT_FOUND:
        raise RegistryError("user does not exist", hint=f"Fetch a token from https://{WEBSITE}/auth/token.")
    return _field(answer, "username", base)


def model_page(name: str) -> str:
    """Return the page of a model, given its name in the registry: ``r8.im/owner/model``."""
    return f"https://{WEBSITE}/{name.partition('/')[2]}"


def _ask(method: str, url: str, base: str, form: dict[str, str] | None = None) -> httpx.Response:
    import httpx  # noqa: PLC0415 - costs a tenth of a second

    try:
        with new_client() as client:
            # A redirect would take the form, and the token in it, along.
            return client.request(method, url, data=form, follow_redirects=form is None)
    except httpx.HTTPError as error:
        raise RegistryError(
            f"failed to log in to {base}: {error}", hint="Check that it can be reached from here."
        ) from error


def _field(answer: httpx.Response, name: str, base: str) -> str:
    if answer.status_code != OK:
        raise RegistryError(f"{base} returned HTTP status {answer.status_code}", hint="Try again later.")
    try:
        return str(jsonvalue.loads(answer.content)[name])
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise RegistryError(f"{base} did not answer as expected", hint="Try again later.") from error
