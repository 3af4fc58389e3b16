from cog import BaseModel, BaseRunner, Input, Path
from PIL import Image
from rapidocr import RapidOCR


class Output(BaseModel):
    text: str
    lines: list[str]
    scores: list[float]


class Runner(BaseRunner):
    def setup(self) -> None:
        self.engine = RapidOCR(params={"Global.log_level": "error"})

    def run(
        self,
        image: Path = Input(description="Picture with text in it: PNG, JPEG or WebP"),
        min_score: float = Input(
            description="Leave out lines read with less certainty", default=0.5, ge=0, le=1
        ),
    ) -> Output:
        found = self.engine(Image.open(image).convert("RGB"))  # palettes and transparency too
        read = [
            (text, score)
            for text, score in zip(found.txts or (), found.scores or (), strict=True)
            if score >= min_score
        ]
        return Output(
            text="\n".join(text for text, _ in read),
            lines=[text for text, _ in read],
            scores=[round(float(score), 3) for _, score in read],
        )
