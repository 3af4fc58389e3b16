from cog import BasePredictor
from schema.out import Result as Answer, Flags
import schema.out as out


class Predictor(BasePredictor):
    def predict(self, flags: Flags, more: out.Flags) -> Answer:
        return Answer()
