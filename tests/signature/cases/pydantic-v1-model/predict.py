from typing import Optional

from pydantic.v1 import BaseModel as Model


class Out(Model):
    a: Optional[int] = None
    b: "list[Out]" = []
    c = 3
    D: str = "x"
    _e: int


def run() -> list[Out]:
    raise NotImplementedError
