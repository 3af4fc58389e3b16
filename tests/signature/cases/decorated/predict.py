import functools
import torch
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    @torch.inference_mode()
    @functools.cache
    def predict(self, prompt: str) -> str:
        return prompt
