"""``COG_CA_CERT``: certificate authorities of an organisation, for downloads, for builds and in the image.

The value's forms are Cog's (its docs/environment.md): a file, a folder of ``*.crt`` and ``*.pem``, PEM text,
or PEM text in base64.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import ConfigError, UnreadableFileError
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "COG_CA_CERT"
BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE")
"""Where certificate authorities may be named; the first that is set counts."""

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_PREFIX = "-----BEGIN"
_SUFFIXES = {".crt", ".pem"}
_SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")
_CHILDREN = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NIX_SSL_CERT_FILE")


def read(environment: Mapping[str, str]) -> str:
    """Return the certificates that ``COG_CA_CERT`` stands for, as PEM (RFC 7468); "" when it is not set.

    Raises:
        ConfigError: it is none of the forms, or what it names has no certificate.
    """
    value = environment.get(VARIABLE, "").strip()
    if not value:
        return ""
    if _exists(value):
        path = Path(value)
        return _folder(path) if path.is_dir() else _file(path)
    if value.startswith(_PREFIX):
        return _checked(value, VARIABLE)
    try:
        decoded = base64.b64decode(value, validate=True).decode()
    except ValueError:  # no base64, or no text
        decoded = ""
    if decoded.startswith(_PREFIX):
        return _checked(decoded, VARIABLE)
    raise ConfigError(
        f"{VARIABLE}: invalid value - must be a file path, directory, PEM certificate, or base64-encoded PEM",
        hint="Check that the file is there; relative paths start from the current folder.",
    )


def trust(environment: Mapping[str, str], cache_dir: Path) -> dict[str, str]:
    """Return the variables that make programs started from here trust the certificates too.

    They name one bundle, of these certificates after those that were trusted anyway: programs that know such
    a variable trust nobody else.

    Args:
        environment: where ``COG_CA_CERT`` and the usual variables are read.
        cache_dir: the bundle is written there.

    Raises:
        ConfigError: as :func:`read`.
    """
    pem = read(environment)
    if not pem:
        return {}
    text = _trusted_anyway(environment) + pem
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    bundle = cache_dir / "certificates" / f"{name}.pem"
    if not bundle.exists():
        bundle.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(bundle, text.encode())
    return dict.fromkeys(_CHILDREN, str(bundle))


def _trusted_anyway(environment: Mapping[str, str]) -> str:
    named = next((environment[name] for name in BUNDLES if environment.get(name)), None)
    if named and Path(named).is_dir():
        return _folder(Path(named))
    if named is None:
        import certifi  # noqa: PLC0415 - only where COG_CA_CERT is set

        paths = [path for path in (_SYSTEM, Path(certifi.where())) if path.is_file()]
    else:
        paths = [Path(named)]
    try:
        return paths[0].read_text(encoding="utf-8").rstrip() + "\n"
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(paths[0], error) from error


def _exists(value: str) -> bool:
    try:
        return os.path.exists(value)  # noqa: PTH110 - Path.exists raises for what is too long to be a path
    except ValueError:
        return False


def _file(path: Path) -> str:
    try:
        return _checked(path.read_text(encoding="utf-8"), f"{VARIABLE}: {path}")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"{VARIABLE}: failed to read file {path}: {reason}") from error


def _folder(path: Path) -> str:
    files = [one for one in sorted(path.iterdir()) if one.suffix.lower() in _SUFFIXES and not one.is_dir()]
    if not files:
        raise ConfigError(f"{VARIABLE}: no .crt or .pem files found in directory {path}")
    return "".join(_file(one) for one in files)


def _checked(text: str, where: str) -> str:
    content = text.strip()
    if not content.startswith(_BEGIN) or _END not in content:
        raise ConfigError(
            f"{where}: invalid PEM: must start with '{_BEGIN}' and contain '{_END}'",
            hint="Convert a DER file with:  openssl x509 -inform der -in FILE -out FILE.pem",
        )
    return content + "\n"
