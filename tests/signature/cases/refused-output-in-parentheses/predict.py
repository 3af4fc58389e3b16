import typing
import numpy as np
from typing import Annotated, Callable, List, Literal, Optional, Sequence, Tuple, Union
from PIL import Image
from cog import BaseModel, ConcatenateIterator, Iterator, concurrent, streaming
from cog import BasePredictor, Input, Path


@dataclass
class Point:
    x: int


class First(BaseModel):
    x: int


class Second(First):
    y: int


class Bad(BaseModel):
    x: int
    z: Optional[Image]


class Predictor(BasePredictor):
    def predict(self, prompt: str) -> (str):
        return prompt
