"""Fails in the way it is told to."""

import os
import sys

from cog import BaseRunner, Input, current_scope


class Runner(BaseRunner):
    def run(
        self,
        how: str = Input(description="What goes wrong", choices=["raise", "exit", "die", "not", "context"]),
    ) -> str:
        print("before")
        if how == "raise":
            raise ValueError("this went wrong")
        if how == "exit":
            sys.exit(3)
        if how == "die":
            os._exit(3)
        if how == "context":
            return str(current_scope().context["who"])
        return how
