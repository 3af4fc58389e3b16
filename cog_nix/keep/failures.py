"""How a kept model fails."""

from __future__ import annotations

from cog_nix.errors import RuntimeFailure


class KeptModelError(RuntimeFailure):
    """What a plain run would have said, told by the process that keeps the model.

    Args:
        said: the message.
        hint: what to do next.
    """

    def __init__(self, said: str, *, hint: str = "") -> None:
        super().__init__(said, hint=hint)
        self.said = said


class KeeperLostError(RuntimeFailure):
    """The process that keeps the model has ended while it was needed."""

    def __init__(self) -> None:
        super().__init__(
            hint="Run this again: it starts the model anew. Without --keep its end is told in full."
        )

    def __str__(self) -> str:
        return "The process that keeps the model warm has ended"


class UnsafePlaceError(RuntimeFailure):
    """The folder for sockets is not this user's alone.

    Args:
        path: which.
        problem: what is wrong with it.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(hint=f"Remove it, or make it yours alone:  chmod 700 {path}")
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"{self.path} cannot hold the sockets of kept models: {self.problem}"


class NotEndedError(RuntimeFailure):
    """Kept models were told to end, and did not in time.

    Args:
        references: of their images.
        processes: ids of the processes that keep them.
    """

    def __init__(self, references: list[str], processes: list[int]) -> None:
        super().__init__(hint=f"End what keeps them:  kill {' '.join(map(str, processes))}")
        self.references, self.processes = references, processes

    def __str__(self) -> str:
        return f"Still running: {', '.join(self.references)}"
