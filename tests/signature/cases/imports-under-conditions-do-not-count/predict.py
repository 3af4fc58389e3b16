try:
    from cog import Input as I
except ImportError:
    pass
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from typing import Optional as Maybe
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, prompt: str = "x") -> str:
        return prompt
