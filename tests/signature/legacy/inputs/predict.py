from typing import List

from cog import BaseModel, BasePredictor, File, Input, Path, Secret


class Output(BaseModel):
    text: str
    score: float
    files: List[Path]


class Predictor(BasePredictor):
    def setup(self) -> None:
        self.ready = True

    def predict(
        self,
        prompt: str = Input(description="What to draw"),
        image: Path = Input(description="A picture", default=None),
        sound: File = Input(description="A sound"),
        token: Secret = Input(description="A secret", default=None),
        width: int = Input(description="Width", default=512, choices=[128, 256, 512]),
        scheduler: str = Input(default="DDIM", choices=["DDIM", "K_EULER"], description="Which"),
        scale: float = Input(description="Scale", ge=1, le=20, default=7.5),
        steps: int = Input(ge=1, le=500, default=50),
        seed: int = Input(default=None, description="Seed"),
        flag: bool = False,
        names: List[str] = Input(default=["a"]),
        word: str = Input(regex="^a.*", min_length=1, max_length=9, default="abc"),
        bare: str = "x",
        required_choice: str = Input(choices=["one", "two"]),
        nothing: str = None,
    ) -> Output:
        return Output(text=prompt, score=1.0, files=[])
