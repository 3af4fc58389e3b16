from cog import BaseModel


class Other(BaseModel):
    b: str
