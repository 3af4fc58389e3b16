from typing import List
from cog import BaseModel


class Result(BaseModel):
    parts: List[str]
