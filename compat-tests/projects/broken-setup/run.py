"""Never gets ready."""

from cog import BaseRunner


class Runner(BaseRunner):
    def setup(self) -> None:
        print("loading the weights")
        raise RuntimeError("the weights are not there")

    def run(self) -> str:
        return "never"
