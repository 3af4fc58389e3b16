from typing import NotRequired, Required, TypedDict


class Base(TypedDict):
    a: int
    b: NotRequired[str]


class Out(Base, total=False):
    c: Required[list[int]]
    d: float
    a: str


def run() -> Out:
    raise NotImplementedError
