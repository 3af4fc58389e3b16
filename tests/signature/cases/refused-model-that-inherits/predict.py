from cog import BaseModel


class Base(BaseModel):
    a: int


class Out(Base):
    b: int


def run() -> Out:
    raise NotImplementedError
