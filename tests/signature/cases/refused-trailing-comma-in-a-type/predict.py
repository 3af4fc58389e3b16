import typing
import numpy as np
from typing import Annotated, Callable, List, Literal, Optional, Sequence, Tuple, Union
from PIL import Image
from cog import BaseModel, ConcatenateIterator, Iterator, concurrent, streaming
from cog import BasePredictor, Input, Path


class Predictor(BasePredictor):
    def predict(self, data: Union[
        str,
        int,
    ]) -> str:
        raise NotImplementedError
