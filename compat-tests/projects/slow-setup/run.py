"""Takes its time to get ready."""

import time

from cog import BaseRunner


class Runner(BaseRunner):
    def setup(self) -> None:
        print("loading the weights")
        time.sleep(4)
        print("loaded")

    def run(self) -> str:
        return "ready"
