from cog import BaseModel
from ..shared import Other


class Out(BaseModel):
    a: int
    o: Other
