"""The one tree of errors that users see.

::

    CogNixError            anything the user can mend; the CLI prints it and exits with ``exit_code``
    ├── ConfigError        cog.yaml, cog-nix.toml or a file they name is wrong
    ├── SignatureError     the predictor's source says something Cog does not support
    ├── LockError          resolving failed, or the lock does not fit the project
    │   └── StaleLockError     the project asks for something else than what is locked
    ├── FetchError         a download failed or its hash is wrong
    ├── NixError           Nix is missing, cannot run, or a derivation failed
    ├── ImageError         an image cannot be assembled or read
    ├── RegistryError      a container registry refuses, or cannot be reached
    ├── PluginError        a plugin broke or nobody answered a hook
    └── RuntimeFailure     a container did not start, or the model failed
        └── PredictionError    the model answered, with a failure

Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations


class CogNixError(Exception):
    """Base of every error that is the user's to mend.

    Args:
        message: what went wrong, and where (one or more lines, no trailing newline).
        hint: what to do next; shown after the message. Empty when the message says it already.
    """

    exit_code: int = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n\n{self.hint}" if self.hint else self.message


class ConfigError(CogNixError):
    """cog.yaml, cog-nix.toml or a file that they name is wrong."""


class SignatureError(CogNixError):
    """The predictor's source says something that Cog does not support."""


class LockError(CogNixError):
    """Resolving failed, or the lock file cannot be read."""


class StaleLockError(LockError):
    """The project asks for something else than what is locked."""


class FetchError(CogNixError):
    """A download failed, or what came has another hash than the lock says."""


class NixError(CogNixError):
    """Nix is missing, cannot run here, or a derivation failed."""


class ImageError(CogNixError):
    """An image cannot be assembled, read or loaded."""


class RegistryError(CogNixError):
    """A container registry refuses, or cannot be reached.

    Args:
        message: what was asked for, and what the registry answered.
        hint: what to do next.
        status: of its answer (HTTP); 0: none came.
    """

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class PluginError(CogNixError):
    """A plugin broke, or no plugin answered a hook."""


class RuntimeFailure(CogNixError):  # noqa: N818 - RuntimeError is Python's
    """A container did not start or stopped early."""


class PredictionError(RuntimeFailure):
    """The model ran and answered with a failure."""
