"""Takes files and gives files. Written with the names that cog had first and most published models have."""

import tempfile
from typing import Optional

from cog import BaseModel, BasePredictor, Input, Path


class Output(BaseModel):
    copy: Path
    size: int
    name: str
    more: list[Path]
    nothing: Optional[Path]


class Predictor(BasePredictor):
    def predict(
        self,
        file: Path = Input(description="A file"),
        others: list[Path] = Input(description="More files", default=[]),
        name: str = Input(description="Name of the copy", default="copy.txt"),
    ) -> Output:
        folder = Path(tempfile.mkdtemp())
        copy = folder / name
        copy.write_bytes(file.read_bytes())
        more = []
        for index, other in enumerate(others):
            path = folder / f"{index}.txt"
            path.write_bytes(other.read_bytes()[::-1])
            more.append(path)
        return Output(copy=copy, size=file.stat().st_size, name=file.name, more=more, nothing=None)
