import torch
from cog import BaseModel, BaseRunner, Input


class Output(BaseModel):
    device: str
    torch: str
    cuda: str
    product: list[list[float]]


class Runner(BaseRunner):
    def setup(self) -> None:
        self.found = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        print(f"torch {torch.__version__} made for CUDA {torch.version.cuda}, on {self.name(self.found)}")

    @staticmethod
    def name(device: torch.device) -> str:
        return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"

    def run(
        self,
        device: str = Input(
            description="Where to compute; auto takes the GPU if there is one",
            default="auto",
            choices=["auto", "cuda", "cpu"],
        ),
        size: int = Input(description="Rows and columns of the matrices", default=3, ge=1, le=32),
        seed: int = Input(description="The same seed multiplies the same matrices", default=0),
    ) -> Output:
        place = self.found if device == "auto" else torch.device(device)
        if place.type == "cuda" and self.found.type != "cuda":
            raise ValueError("There is no GPU here. Start the container with --gpus all, or say device=cpu.")
        # Drawn on the CPU, since a GPU draws other numbers from the same seed.
        chance = torch.Generator().manual_seed(seed)
        left, right = (torch.randint(-9, 10, (size, size), generator=chance) for _ in range(2))
        with torch.inference_mode():
            product = left.to(place, torch.float32) @ right.to(place, torch.float32)
        return Output(
            device=self.name(place),
            torch=torch.__version__,
            cuda=torch.version.cuda or "none",
            product=product.tolist(),
        )
