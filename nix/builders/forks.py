"""Processes beside this one, so that work need not wait for the processor that this one runs on."""

from __future__ import annotations

import os
import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING

from failure import MARK, BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def start(action: Callable[[], int]) -> int:
    """Start a process that ends with the status that ``action`` returns; return its id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = action()
        except (OSError, BuildError) as error:
            sys.stderr.write(f"{MARK}{error}\n")
        except BaseException:  # noqa: BLE001 - nobody above would show it
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid


def all_done(pids: Iterable[int]) -> bool:
    """Wait for processes; say whether all of them ended well."""
    return not any([os.waitpid(pid, 0)[1] for pid in pids])  # noqa: C419 - waits for all, whatever the first did


def shared(work: Callable[[list[int]], int], sizes: list[int]) -> bool:
    """Divide pieces of work among as many processes as there are processors; say whether all ended well.

    Args:
        work: is given the numbers of its pieces.
        sizes: how much work each piece is.
    """
    count = min(len(sizes), os.cpu_count() or 1)
    largest_first = sorted(range(len(sizes)), key=lambda piece: -sizes[piece])
    shares = [largest_first[begin::count] for begin in range(count)]
    return all_done([start(partial(work, share)) for share in shares])
