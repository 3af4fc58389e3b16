from lib.base import Shared


class Predictor(Shared):
    def setup(self) -> None:
        pass
