"""The three standard streams, as others may leave them: closed, full, or without a reader."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

BROKEN_PIPE = 128 + 13
"""The status of a program that SIGPIPE ends, as shells have it."""


def ensure_open() -> None:
    """Open what is closed: the next file that is opened would take its number, and be written to.

    What is written to a closed stdout fails (it is the answer), to a closed stderr is lost (it is narration).
    Without a buffer (PYTHONUNBUFFERED) Python loses what the system does not take at once, so it gets one.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        sys.stdout = os.fdopen(1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


def write_stderr(text: str) -> None:
    """Write to stderr; who does not listen does not end the work."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def write_stdout(text: str) -> None:
    """Print a text as it is, so that a file of it has its bytes; on a terminal, with a line break."""
    sys.stdout.write(f"{text}\n" if sys.stdout.isatty() else text)
    sys.stdout.flush()


def flush_stdout(status: int) -> tuple[int, str]:
    """Write what is left for stdout.

    Args:
        status: what the command would end with.

    Returns:
        What it ends with, and what there is to say about it.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _forget()
        return status or BROKEN_PIPE, ""
    except OSError as error:
        _forget()
        return status or 1, f"standard output cannot be written: {error.strerror}"
    return status, ""


def _forget() -> None:
    """Let Python's own last flush succeed, or it would have the last word."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
