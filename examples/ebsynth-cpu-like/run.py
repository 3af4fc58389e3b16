import tempfile

import numpy as np
from cog import BaseRunner, Input, Path
from guided_patchmatch import synthesize
from PIL import Image


def pixels(picture: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    image = Image.open(picture).convert("RGB")
    if size and image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image)


class Runner(BaseRunner):
    def run(
        self,
        style: Path = Input(description="The picture to paint like"),
        source_guide: Path = Input(
            description="What the style shows, plainly: normals, a segmentation, a photograph"
        ),
        target_guide: Path = Input(description="The same of what is to be painted"),
        guide_weight: float = Input(
            description="How closely the guides are followed; a little is loose, much is stiff",
            default=2,
            ge=0,
            le=100,
        ),
        patch_size: int = Input(description="Side of a patch in pixels", default=5, choices=[3, 5, 7, 9]),
        seed: int = Input(description="The same seed paints the same picture", default=0, ge=0),
    ) -> Path:
        painted = pixels(style)
        height, width, _ = painted.shape
        result = synthesize(
            painted,
            pixels(source_guide, (width, height)),
            pixels(target_guide),
            guide_weight=guide_weight,
            patch=patch_size,
            seed=seed % 2**32,
        )
        output = Path(tempfile.mkdtemp()) / "output.png"
        Image.fromarray(result).save(output)
        return output
