import typing
from typing import Annotated, List, Optional

import cog
from cog import BaseModel, Opaque
from cog import Opaque as Any_


class Out(BaseModel):
    a: Annotated[Tensor, Opaque]
    b: Optional[Annotated[Tensor, Opaque]]
    c: Annotated[Optional[Tensor], Opaque]
    d: Annotated[list[Tensor], Opaque] = []
    e: list[Annotated[Tensor, "note", cog.Opaque]]


def run(
    a: Annotated[Tensor, Opaque],
    b: Annotated[Optional[Tensor], Opaque] = None,
    c: Optional[Annotated[List[Tensor], Any_]] = None,
    d: typing.Annotated[list[Tensor], cog.Opaque] = [],
    e: list[Annotated[Tensor, Opaque]] = [],
    f: Annotated[Tensor | None, Opaque] = None,
) -> Out:
    raise NotImplementedError
