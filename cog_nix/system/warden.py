"""Ends what this process has started when this process ends, however that comes about.

Children carry a variable that nothing else has, and so does what they start in turn. A shell in a session of
its own waits for the end of this process: it holds the other end of a pipe. Where the end was none that put
things in order (SIGKILL), it sends SIGTERM to all that carry the variable, and SIGKILL to what stays long.
What they do in between is theirs: Nix ends its builders and removes their folders. A Nix that was killed with
this process did not: its builders, which carry a derivation's variables only, are known by the folder that is
mounted for them (:func:`folder_kind`), and are killed.

``PR_SET_PDEATHSIG`` would do without a shell, but not for what children start, and Python can set it only in
a full copy of this process (``preexec_fn``): that costs 3 to 20 ms a child where the shell costs 2 ms once.
"""

from __future__ import annotations

import atexit
import os
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
cd /
trap '' HUP INT TERM
read -r said
[ "$said" != done ] || exit 0
# After a sudden end there may be some that were just being started, and show their variables a moment later.
[ "$said" = end ] && least=1 || least=4
round=0 told=' '
while [ $round -lt 60 ]; do
  left=$(grep -lsF "$1" /proc/[0-9]*/environ)
  builders=
  [ -n "$left" ] || builders=$(grep -lsF "$2" /proc/[0-9]*/mountinfo)
  [ -n "$left$builders" ] || [ $round -lt $least ] || exit 0
  for path in $builders; do
    pid=${path#/proc/}
    kill -KILL "${pid%/mountinfo}"
  done
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

_RESTORED = (13, 25)
"""SIGPIPE and SIGXFSZ, which Python ignores and no child expects to be ignored (signal(7))."""

_lock = threading.Lock()
_token: list[str] = []
_watching: list[tuple[int, int]] = []
"""The shell's number, and the end of its pipe that is ours."""


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child, which is watched over from then on.

    Args:
        given: the environment as it is to be otherwise; None: this process's.

    Raises:
        OSError: no process can be started.
    """
    watch()
    return marked(os.environ if given is None else given)


def marked(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a child that is watched over once :func:`watch` has been called."""
    with _lock:
        if not _token:
            _token.append(os.urandom(16).hex())
    return {**given, VARIABLE: _token[0]}


def folder_kind() -> str:
    """Return the kind (:mod:`~cog_nix.system.scratch`) of folders that children have temporary files in."""
    return _kind(marked({})[VARIABLE])


def _kind(token: str) -> str:
    return f"nix-{token[:8]}"


def watch() -> None:
    """Watch over the children, those that run already included.

    Raises:
        OSError: no process can be started.
    """
    mark = marked({})[VARIABLE]
    with _lock:
        # Where there is no shell, as in a container with nothing in it, nobody is left to watch either.
        if not _watching and os.access(_SHELL, os.X_OK):
            _watching.append(_start(mark))
            atexit.register(_end)


def family(pid: int) -> Iterator[int]:
    """Yield a process and all that descend from it, parents first; any may be gone by then (proc(5))."""
    yield pid
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - text: pathlib takes long to import
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as stream:  # noqa: PTH123
                for child in stream.read().split():
                    yield from family(int(child))


def _start(token: str) -> tuple[int, int]:
    reading, writing = os.pipe()
    actions = [
        (os.POSIX_SPAWN_DUP2, reading, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        shell = os.posix_spawn(
            _SHELL,
            ["sh", "-c", _WATCH, "sh", f"{VARIABLE}={token}", f"/cog-nix-{_kind(token)}-"],
            os.environ,
            file_actions=actions,
            setsid=True,  # neither the terminal's Ctrl-C nor an end of the whole group is for it
            setsigdef=_RESTORED,
        )
    except OSError:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    return shell, writing


def _end() -> None:
    """End the children that are left, as threads may leave them that nobody waits for; then the shell."""
    shell, writing = _watching.pop()
    others = set(family(os.getpid())) - {os.getpid(), shell}
    with suppress(BrokenPipeError), open(writing, "wb", buffering=0) as stream:  # noqa: PTH123 - a descriptor
        stream.write(_END if others else _DONE)
    with suppress(ChildProcessError):
        os.waitpid(shell, 0)
