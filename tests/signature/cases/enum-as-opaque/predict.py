from enum import Enum
from typing import Annotated

from cog import Opaque


class Mode(str, Enum):
    FAST = "fast"


def run(mode: Annotated[Mode, Opaque]) -> Annotated[list[Mode], Opaque]:
    raise NotImplementedError
