from typing import List, TypedDict
from cog import BaseModel
from .parts import Part
import schema.parts


class Flags(TypedDict):
    on: bool


class Result(BaseModel):
    parts: list[Part]
    flags: Flags
    other: schema.parts.Part
