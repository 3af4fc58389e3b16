from pydantic import BaseModel
from schema.out import Result


class Part(BaseModel):
    name: str
    weight: float = 1.0
