"""Keys as Nix has them for binary caches: ``NAME:`` and base 64 of an Ed25519 key (Nix manual, "Signing").

The secret form is the seed with the public key behind it (RFC 8032, 5.1.5), in a file of ``nix key
generate-secret`` or ``nix-store --generate-binary-cache-key``.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cog_nix.errors import ConfigError, FlagError, UnreadableFileError
from cog_nix.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEY_VARIABLE = "COG_NIX_SECRET_KEY_FILE"
"""Names the file of the key that signs what is pushed."""
_SEED, _PUBLIC = 32, 32


_NO_KEY = "is not a secret key of Nix's"
_ANOTHER = "Make one with:  cog-nix cache key NAME FILE"


class KeyFileError(ConfigError):
    """A file is no key that signs, or none may be put there.

    Args:
        path: of the file; what it holds is not told.
        problem: what is wrong with it.
        hint: what to do next.
    """

    def __init__(self, path: Path, problem: str, *, hint: str = _ANOTHER) -> None:
        super().__init__(hint=hint)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path} {self.problem}."


@dataclass(frozen=True)
class SecretKey:
    """What signs."""

    name: str
    seed: bytes = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> SecretKey:
        """Read a file; what it says is not shown.

        Raises:
            ConfigError: it cannot be read, or is no key.
        """
        try:
            name, _, text = path.read_text(encoding="ascii").strip().partition(":")
            data = base64.b64decode(text, validate=True)
        except OSError as error:
            raise UnreadableFileError(f"The secret key {path}", error, hint=_ANOTHER) from error
        except ValueError as error:
            raise KeyFileError(path, _NO_KEY) from error
        if not name or len(data) != _SEED + _PUBLIC:
            raise KeyFileError(path, _NO_KEY)
        return cls(name, data[:_SEED])

    @classmethod
    def make(cls, name: str, path: Path) -> str:
        """Make a key in a file that only this user reads; return its public half, ``NAME:KEY``.

        Args:
            name: by convention the cache's host with a number.
            path: where the secret half goes.

        Raises:
            FlagError: it is not a name.
            KeyFileError: the file is there already.
            UnwritableError: it cannot be written.
        """
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - rarely needed

        if ":" in name or "".join(name.split()) != name or not name:
            hint = "For example: cache.example.org-1"
            raise FlagError("NAME", "a key's name has neither colons nor white space", repr(name), hint=hint)
        if os.path.lexists(path):
            raise KeyFileError(path, "is there already", hint="Name another file: a key in use stays.")
        key = ed25519.Ed25519PrivateKey.generate()
        seed, public = key.private_bytes_raw(), key.public_key().public_bytes_raw()
        write_atomically(path, f"{name}:{base64.b64encode(seed + public).decode()}\n".encode(), 0o600)
        return f"{name}:{base64.b64encode(public).decode()}"

    @classmethod
    def named(cls, environment: Mapping[str, str]) -> SecretKey | None:
        """Return the key that the environment names; None: it names none.

        Raises:
            ConfigError: it cannot be read, or is no key.
        """
        file = environment.get(KEY_VARIABLE)
        return cls.read(Path(file).expanduser()) if file else None

    def sign(self, text: str) -> str:
        """Return the signature of a text: ``NAME:…``."""
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - rarely needed

        signature = ed25519.Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"{self.name}:{base64.b64encode(signature).decode()}"


@dataclass(frozen=True)
class PublicKeys:
    """Whose signatures count.

    Args:
        keys: ``NAME:KEY`` each, as ``trusted-public-keys`` has them.
    """

    keys: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any; without, nothing needs to be signed."""
        return bool(self.keys)

    def have_signed(self, text: str, signatures: Iterable[str]) -> bool:
        """Tell whether one of them signed a text."""
        return any(self._signed(text, signature) for signature in signatures)

    def _signed(self, text: str, signature: str) -> bool:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - rarely needed
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415

        name, _, said = signature.partition(":")
        for key in self.keys:
            owner, _, public = key.partition(":")
            if owner != name:
                continue
            try:
                verifier = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(public))
                verifier.verify(base64.b64decode(said, validate=True), text.encode())
            except (InvalidSignature, ValueError, binascii.Error):
                continue
            return True
        return False
