from base import middle


class Predictor(middle.Middle):
    def setup(self) -> None:
        pass
