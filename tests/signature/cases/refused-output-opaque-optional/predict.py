from typing import Annotated, Optional

from cog import Opaque


def run() -> Annotated[Optional[Box], Opaque]:
    raise NotImplementedError
