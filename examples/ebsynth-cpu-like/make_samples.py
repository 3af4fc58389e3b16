"""Draw the sample pictures: a painted ball, its normals, and the normals of three balls to paint like it."""

import numpy as np
from PIL import Image

SIZE = 128
PAPER = np.array([238, 229, 209])
PAINT = np.array([[38, 43, 84], [150, 49, 62], [233, 148, 61], [250, 232, 160]])  # from shade to light


def normals(*balls: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Unit normals of balls, and where they are; a ball is a centre and a radius in parts of the picture."""
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    normal, covered = np.zeros((SIZE, SIZE, 3)), np.zeros((SIZE, SIZE), bool)
    for centre_x, centre_y, radius in balls:
        dx, dy = (x - centre_x) / radius, (y - centre_y) / radius
        on = dx**2 + dy**2 < 1
        dz = np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1))
        normal[on] = np.stack([dx, dy, dz], axis=-1)[on]
        covered |= on
    return normal, covered


def guide(normal: np.ndarray) -> np.ndarray:
    return np.round((normal + 1) * 127.5).astype(np.uint8)


def strokes(chance: np.random.Generator) -> np.ndarray:
    """Streaks that fall to the right, as a flat brush leaves them."""
    streaks = chance.normal(size=(SIZE, SIZE))
    return sum(np.roll(streaks, (step, 2 * step), (0, 1)) for step in range(8)) / 8**0.5


def painting(normal: np.ndarray, covered: np.ndarray) -> np.ndarray:
    chance = np.random.default_rng(7)
    light = normal @ np.array([-0.5, -0.6, 0.62])
    tone = np.clip((light + 0.35) / 1.3 + 0.06 * strokes(chance), 0, 1) * (len(PAINT) - 1)
    ball = np.stack([np.interp(tone, range(len(PAINT)), PAINT[:, c]) for c in range(3)], axis=-1)
    paper = PAPER + 4 * strokes(chance)[..., None]
    return np.clip(np.where(covered[..., None], ball, paper), 0, 255).astype(np.uint8)


source = normals((0.5, 0.5, 0.42))
target = normals((0.34, 0.36, 0.28), (0.74, 0.62, 0.2), (0.3, 0.8, 0.14))
Image.fromarray(painting(*source)).save("style.png")
Image.fromarray(guide(source[0])).save("source_guide.png")
Image.fromarray(guide(target[0])).save("target_guide.png")
