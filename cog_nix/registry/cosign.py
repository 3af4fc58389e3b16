"""Signatures of images, by cosign (sigstore), which is run where it is installed.

A key is a file, or what cosign knows of keys elsewhere (``awskms://…``, ``k8s://…``). Without one, cosign
asks an identity provider who the user is, and writes the signature into a log. Tokens reach it in its
environment, where cosign itself looks for them, and are in no argument.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from textwrap import indent
from typing import TYPE_CHECKING

from cog_nix.errors import RegistryError
from cog_nix.registry.auth import may_be_plain
from cog_nix.system import jsonvalue
from cog_nix.system.processes import ProcessError, redact, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cog_nix.registry.reference import Reference
    from cog_nix.report import Reporter

_NO_SERVICES = "--use-signing-config=false"
"""Since 2.6: sigstore's own services are not asked."""
_NOT_SIGNED = frozenset({10, 12, 13})
"""cosign ends so where there is no signature, none that matches, or none with a certificate (its
``cmd/cosign/errors``); where signatures are bundles, with 1."""
_NO_MATCH = ("no matching", "no signatures found", "none of the expected identities")
"""What it says then."""
_SIGNATURES = frozenset({"https://sigstore.dev/cosign/sign/v1", "cosign container image signature"})
"""What cosign calls a signature, in a bundle and before (its ``pkg/types``, sigstore's ``payload``)."""
_UNREACHED = re.compile(r"\bTUF\b|\btuf\b|dial tcp|no such host")
_TOKEN = re.compile(r"(?i)\b(identity|id) token")
_OTHER_SERVICES = re.compile(r"leaf certificate|log inclusion|log entry|timestamp")
_TOKENS = ("SIGSTORE_ID_TOKEN", "COSIGN_IDENTITY_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "COSIGN_PASSWORD")
"""Variables whose values are not shown: cosign takes a token that it cannot read for a path, and names it."""
_CONFIG, _ROOT = "COSIGN_SIGNING_CONFIG", "COSIGN_TRUSTED_ROOT"
"""Variables that name services of one's own, and whom to trust, as cosign's flags do."""
_OTHER_ROOT = f"Signed by services of your own? {_ROOT} names the file that says whom to trust."
_FAILED = ("Error: ", "error during command execution:")
_INSTALL = "Install it: https://docs.sigstore.dev/cosign/system_config/installation/"


class NoCosignError(RegistryError):
    """An image is to be signed or its signature checked, and cosign is not here."""

    def __init__(self, purpose: str) -> None:
        super().__init__(hint=_INSTALL)
        self.purpose = purpose

    def __str__(self) -> str:
        return f"cosign, which {self.purpose}, is not installed."


class CosignFailedError(RegistryError):
    """cosign refuses.

    Args:
        image: ``registry/repository@sha256:…``.
        purpose: what was to be done.
        said: what cosign says of it.
        keyless: whether an identity provider is to say who signs.
    """

    def __init__(self, image: str, purpose: str, said: str, *, keyless: bool) -> None:
        super().__init__(hint=_hint(said, keyless=keyless))
        self.image, self.purpose, self.said = image, purpose, said

    def __str__(self) -> str:
        return f"{self.image} cannot be {self.purpose}:\n{indent(self.said, '  ')}"


class NotSignedError(RegistryError):
    """An image has no signature by whom it should.

    Args:
        image: ``registry/repository@sha256:…``.
        by: by whom.
        said: what cosign says of it.
    """

    def __init__(self, image: str, by: str, said: str) -> None:
        question = _OTHER_ROOT if _OTHER_SERVICES.search(said) else "Was it pushed with --sign?"
        super().__init__(hint=f"Do not use it, unless you know better. {question}")
        self.image, self.by, self.said = image, by, said

    def __str__(self) -> str:
        return f"{self.image} has no signature by {self.by} that holds:\n{indent(self.said, '  ')}"


@dataclass(frozen=True)
class Identity:
    """By whom a signature has to be."""

    key: str = ""
    """Of whoever has the secret part of this public key; "": of whoever the next two name."""
    name: str = ""
    """In the certificate: a mail address, or the URL of a workflow."""
    pattern: str = ""
    """Regular expression (Go's) of all that it may be instead, from its beginning to its end."""
    issuer: str = ""
    """URL of the identity provider."""

    def arguments(self) -> list[str]:
        """Return cosign's flags."""
        if self.key:
            return ["--key", self.key]
        named = ["--certificate-identity", self.name]
        if self.pattern:  # cosign takes one that matches anywhere, so any identity with the right one inside
            named = ["--certificate-identity-regexp", f"^(?:{self.pattern})$"]
        return [*named, "--certificate-oidc-issuer", self.issuer]

    def __str__(self) -> str:
        return self.key or f"{self.name or self.pattern} ({self.issuer})"


def available() -> bool:
    """Whether cosign is installed."""
    return shutil.which("cosign") is not None


def refuse_without(purpose: str) -> None:
    """Refuse what needs cosign, before anything is built.

    Raises:
        NoCosignError: it is not installed.
    """
    if not available():
        raise NoCosignError(purpose)


def sign(image: str, reference: Reference, key: str, reporter: Reporter) -> None:
    """Sign an image that a registry has.

    Args:
        image: ``registry/repository@sha256:…``.
        reference: where it is.
        key: "" for none: who the user is, an identity provider says.
        reporter: passes on what cosign says without a key: where to log in.

    Raises:
        NoCosignError: it is not installed.
        CosignFailedError: it refuses.
    """
    refuse_without("signs images")
    _give(["sign", "--yes", *_plain(reference)], image, key, reporter, "signed")


def attest(
    image: str, reference: Reference, key: str, statement: Path, *, kind: str, reporter: Reporter
) -> None:
    """Sign a statement about an image, and give it to the registry (in-toto, DSSE).

    Args:
        image: ``registry/repository@sha256:…``.
        reference: where it is.
        key: as for :func:`sign`.
        statement: file with the predicate.
        kind: of the predicate, as cosign names it: ``slsaprovenance1``, ``spdxjson``, ``cyclonedx``.
        reporter: as for :func:`sign`.

    Raises:
        NoCosignError: it is not installed.
        CosignFailedError: it refuses.
    """
    refuse_without("signs statements")
    arguments = ["attest", "--yes", "--type", kind, "--predicate", str(statement), *_plain(reference)]
    _give(arguments, image, key, reporter, "attested")


def _give(arguments: Sequence[str], image: str, key: str, reporter: Reporter, purpose: str) -> None:
    """Have cosign sign something."""
    if key:
        # What a log that everybody can read says of an image is for who signs without a key.
        arguments = [*arguments, "--key", key, *_without_log(arguments[0])]
    else:
        arguments = [*arguments, *_own_services(_CONFIG, _ROOT)]
    environment = {name: value for name, value in os.environ.items() if not (key and name == _CONFIG)}

    def tell(line: str) -> None:
        if not line.startswith(_FAILED):  # which the error says as well
            reporter.info(line)

    heard = None if key else tell  # a URL to log in at, which goes to stdout
    command = ["cosign", *arguments, image]
    try:
        run(command, env=environment, secrets=_secrets(), on_stderr=heard, on_stdout=heard)
    except ProcessError as error:
        raise CosignFailedError(image, purpose, _reason(error), keyless=not key) from error


def check(image: str, reference: Reference, by: Identity) -> None:
    """Check that an image is signed.

    Args:
        image: ``registry/repository@sha256:…``.
        reference: where it is.
        by: whom.

    Raises:
        NoCosignError: cosign is not installed.
        NotSignedError: there is no such signature, or it is of another image.
        CosignFailedError: cosign cannot tell: it has no key, or does not reach its services.
    """
    refuse_without("checks signatures")
    how = ["--insecure-ignore-tlog=true"] if by.key else _own_services(_ROOT)
    try:
        found = run(
            ["cosign", "verify", *by.arguments(), *_plain(reference), *how, image], secrets=_secrets()
        )
    except ProcessError as error:
        said = _reason(error)
        if error.finished.returncode in _NOT_SIGNED or said.startswith(_NO_MATCH):
            raise NotSignedError(image, str(by), said) from error
        raise CosignFailedError(image, "checked for a signature", said, keyless=not by.key) from error
    if not _SIGNATURES & (kinds := verified(found.stdout)):
        only = ", ".join(sorted(kinds)) or "nothing that can be read"
        raise NotSignedError(image, str(by), f"What is signed are statements about it: {only}")


def verified(answer: str) -> frozenset[str]:
    """Return what ``cosign verify`` found to hold, by type; nothing where its answer cannot be read.

    With bundles, that is any statement about the image: "its tests failed", too.

    Args:
        answer: its output, a list of payloads ("simple signing", containers/image's
            ``containers-signature(5)``), in which it puts a statement's type of predicate.
    """
    try:
        return frozenset(
            jsonvalue.text_of(jsonvalue.mapping_of(jsonvalue.mapping_of(one)["critical"])["type"])
            for one in jsonvalue.list_of(jsonvalue.loads(answer))
        )
    except (KeyError, TypeError, ValueError):
        return frozenset()


def _reason(error: ProcessError) -> str:
    """Return what cosign says is wrong, each line once: it writes warnings before, and all of it twice."""
    said = redact(error.finished.stderr, _secrets()).partition(_FAILED[1])[0]
    _, found, reason = said.rpartition(_FAILED[0])
    return "\n".join(dict.fromkeys(reason.strip().splitlines())) if found else error.message


def _hint(said: str, *, keyless: bool) -> str:
    if "unknown flag" in said:
        return "Install a newer cosign: 3 signs and checks with services of your own."
    if _UNREACHED.search(said):
        return (
            "Without a key, cosign asks services of its own: see that they can be reached, or name others "
            f"(`cosign initialize`, or {_CONFIG} and {_ROOT}). With --key it needs none."
        )
    if keyless and _TOKEN.search(said):
        return "Get a new token: it is for the audience that is asked for (`sigstore`), and soon expires."
    if "decrypt" in said or "password" in said:
        return "Give the key's password in the variable COSIGN_PASSWORD."
    what = f"what {_CONFIG} and {_ROOT} name" if keyless else "the key"
    return f"Check {what}, and that the registry takes signatures."


def _own_services(*variables: str) -> list[str]:
    """Return what the environment says of services of one's own, as flags.

    A cosign that does not know them refuses flags. Variables it would pass over, and tell the public
    services, and with them everybody, of the image.
    """
    return [
        f"--{variable.removeprefix('COSIGN_').lower().replace('_', '-')}={os.environ[variable]}"
        for variable in variables
        if os.environ.get(variable)
    ]


def _secrets() -> list[str]:
    """Return what is not to be shown. The name of a token's file may be: a token has no slash (RFC 7515)."""
    values = (os.environ.get(name, "") for name in _TOKENS)
    return [value for value in values if value and "/" not in value]


def _plain(reference: Reference) -> list[str]:
    """Return the flags for a registry without TLS, as pushing goes there."""
    host = reference.registry
    return ["--allow-http-registry", "--allow-insecure-registry"] if may_be_plain(host, os.environ) else []


def _without_log(command: str) -> list[str]:
    """Return the flags for signing with a key alone; which there are depends on cosign's version."""
    said = run(["cosign", command, "--help"]).stdout
    return ["--tlog-upload=false", *([_NO_SERVICES] if _NO_SERVICES.partition("=")[0] in said else [])]
