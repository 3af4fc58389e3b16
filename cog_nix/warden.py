"""Ends what this process has started when this process ends, however that comes about.

Children carry a variable that nothing else has, and so does what they start in turn. A shell in a session of
its own waits for the end of this process: it holds the other end of a pipe. Where the end was none that put
things in order (SIGKILL), it sends SIGTERM to all that carry the variable, and SIGKILL to what stays long.
What they do in between is theirs: Nix ends its builders and removes their folders.

``PR_SET_PDEATHSIG`` would do without a shell, but not for what children start, and Python can set it only in
a full copy of this process (``preexec_fn``): that costs 3 to 20 ms a child where the shell costs 2 ms once.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE = "COG_NIX_OWNER"
"""In the environment of every child."""

_SHELL = "/bin/sh"
_DONE, _END = b"done\n", b"end\n"
_WATCH = """
trap '' HUP INT TERM
read -r said
[ "$said" != done ] || exit 0
# After a sudden end there may be some that were just being started, and show their variables a moment later.
[ "$said" = end ] && least=1 || least=4
round=0 told=' '
while [ $round -lt 60 ]; do
  left=$(grep -lsF "$1" /proc/[0-9]*/environ)
  [ -n "$left" ] || [ $round -lt $least ] || exit 0
  for path in $left; do
    pid=${path#/proc/} pid=${pid%/environ}
    case $told in
      *" $pid "*) [ $round -lt 50 ] || kill -KILL "$pid" ;;
      *) kill -TERM "$pid"; told="$told$pid " ;;
    esac
  done
  round=$((round + 1))
  sleep 0.2
done
"""

_lock = threading.Lock()
_token: list[str] = []
_watching: list[subprocess.Popen[bytes]] = []


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child, which is watched over from then on.

    Args:
        given: the environment as it is to be otherwise; None: this process's.

    Raises:
        OSError: no process can be started.
    """
    with _lock:
        if not _token:
            _watch()
    return {**(os.environ if given is None else given), VARIABLE: _token[0]}


def family(pid: int) -> Iterator[int]:
    """Yield a process and all that descend from it, parents first; any may be gone by then (proc(5))."""
    yield pid
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - at the end of each command
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as stream:  # noqa: PTH123 - as above
                children = stream.read()
            for child in map(int, children.split()):
                yield from family(child)


def _watch() -> None:
    _token[:] = [os.urandom(16).hex()]
    if not os.access(_SHELL, os.X_OK):
        return  # as in a container with nothing in it, where nobody is left to watch either
    watching = subprocess.Popen(
        [_SHELL, "-c", _WATCH, "sh", f"{VARIABLE}={_token[0]}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # neither the terminal's Ctrl-C nor an end of the whole group is for it
    )
    _watching[:] = [watching]
    atexit.register(_end)


def _end() -> None:
    """End the children that are left, as threads may leave them that nobody waits for; then the shell."""
    watching = _watching.pop()
    assert watching.stdin is not None  # noqa: S101 - for the type checker: it was asked for
    others = set(family(os.getpid())) - {os.getpid(), watching.pid}
    with suppress(BrokenPipeError), watching.stdin:
        watching.stdin.write(_END if others else _DONE)
    watching.wait()
