"""What a model writes, told apart from what its server writes.

Cog's server wraps each line the model prints into a record of its own log (JSON, one a line, ``LOG_FORMAT``).
The records whose target is the model are shown as the model wrote them; of the server's own, warnings and
errors only. The server of the SDKs before 0.17 passes on what the model prints as it is; its own records have
``logger`` and ``severity``.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any

from cog_nix.system import jsonvalue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MODEL_TARGETS = ("coglet::setup", "coglet::user")
_LOGGERS = ("cog.", "uvicorn")
_SHOWN = ("WARNING", "ERROR", "CRITICAL")
_NO_COGLET = re.compile(r"\[info +\] Rust coglet not available")
_KEPT_LINES = 200


def log_environment(environ: Mapping[str, str], *, debug: bool = False) -> dict[str, str]:
    """Return the variables that make the server's log readable for :class:`ModelLog`.

    Args:
        environ: the environment of this process; its ``RUST_LOG`` reaches the server, whose log is then shown
            as it comes.
        debug: show everything.
    """
    if rust_log := environ.get("RUST_LOG"):
        return {"RUST_LOG": rust_log, "LOG_FORMAT": "console"}
    return (
        {"LOG_FORMAT": "console", "COG_LOG_LEVEL": "debug"}
        if debug
        else {"LOG_FORMAT": "json", "COG_LOG_LEVEL": "info"}
    )


class ModelLog:
    """A sink for the lines of a container.

    Args:
        show: called with each line that is worth showing as it comes.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._tail: deque[str] = deque(maxlen=_KEPT_LINES)
        self._is_ending = False

    def end(self) -> None:
        """Show only what the model wrote from here on: a server that is stopped complains of its worker."""
        self._is_ending = True

    def __call__(self, line: str) -> None:
        """Take one line."""
        text = readable(line, of_server=not self._is_ending)
        if text is not None:
            self._tail.append(text)
            self._show(text)

    def tail(self) -> str:
        """Return the last lines that were shown."""
        return "\n".join(self._tail)


def readable(line: str, *, of_server: bool = True) -> str | None:
    """Return what to show for a line of the container, or None for the server's own chatter.

    Args:
        line: as it comes.
        of_server: whether its warnings and errors are worth showing.
    """
    if _NO_COGLET.search(line):
        return None
    record = _record(line)
    if record is None:
        return line
    if "logger" in record:
        return str(record.get("message", "")) if of_server and record["severity"] in _SHOWN else None
    fields, level = record["fields"], record.get("level", "")
    message = str(fields.get("message", ""))
    if record.get("target") in _MODEL_TARGETS or "source" in fields:
        return message
    if not of_server or level not in ("WARN", "ERROR"):
        return None
    error = fields.get("error")
    return f"{message}: {error}" if error else message


def _record(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        record = jsonvalue.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    of_coglet = "target" in record and isinstance(record.get("fields"), dict)
    older = str(record.get("logger", "")).startswith(_LOGGERS) and isinstance(record.get("severity"), str)
    return record if of_coglet or older else None
