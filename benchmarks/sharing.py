"""What registries and nodes hold of several models, by how their packages are put into layers.

``python -m benchmarks.sharing FOLDER…`` reads the locks of projects and prints a table; with no folder it
makes those of :data:`PROJECTS` in ``benchmarks/locks``. Sizes of wheels are read from their directories, by
parts of the files: some kilobytes of each. Two layers of the same packages count as the same blob.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from benchmarks.measure import ROOT, run
from cog_nix.config.model import LayerSettings
from cog_nix.lock import format as lock_format
from cog_nix.lock.layers import plan
from cog_nix.system.files import write_atomically
from cog_nix.system.paths import cache_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cog_nix.lock.model import Artifact, Lock

_DIFFUSERS = ("diffusers==0.32.1", "transformers==4.47.1", "accelerate==1.2.1", "numpy==1.26.4")
PROJECTS: dict[str, tuple[str, ...]] = {
    "whisper": ("torch==2.6.0", "openai-whisper==20250625"),
    "speech": ("torch==2.6.0", "torchaudio==2.6.0", "coqui-tts==0.26.2", "transformers==4.51.3"),
    "background": ("onnxruntime-gpu==1.22.0", "rembg==2.0.67", "opencv-python-headless==4.11.0.86"),
    "images": (
        *("torch==2.6.0", "transformers==5.7.0", "diffusers==0.38.0", "accelerate==1.13.0"),
        *("huggingface-hub>=1.13.0", "hf_transfer>=0.1.8", "sentencepiece>=0.2.1", "protobuf>=6.33.0"),
        *("safetensors>=0.8.0rc0", "pillow>=11.0.0"),
    ),
    "training": (
        *("torch==2.4.1", "torchvision==0.19.1", "accelerate==1.0.0", "bitsandbytes==0.43.3", "peft==0.13.0"),
        *("datasets>=2.19.1", "huggingface-hub==0.23.2", "transformers==4.44.0", "tensorboard==2.17.0"),
        *("ftfy==6.2.3", "hf_transfer==0.1.8", "Jinja2==3.1.4", "pillow==10.4.0", "prodigyopt==1.0"),
        *("sentencepiece==0.2.0", "numpy<2", "wandb==0.17.8"),
    ),
    "diffusion": (
        "torch==2.5.1",
        "torchvision",
        *_DIFFUSERS,
        "peft==0.14.0",
        "protobuf==5.29.2",
        "sentencepiece==0.2.0",
    ),
    "video": (
        *("torch==2.5.1", "torchvision", *_DIFFUSERS, "opencv-python==4.10.0.84", "einops==0.8.0"),
        *("tqdm==4.67.1", "imageio==2.36.1", "imageio-ffmpeg==0.5.1"),
    ),
    "cogvideo": (
        *("torch==2.4.0", "torchvision==0.19.0", "accelerate==0.33.0", "diffusers==0.28.2", "numpy==1.26.4"),
        *("transformers==4.44.2", "huggingface_hub==0.24.6", "Pillow==10.4.0", "imageio[ffmpeg]==2.35.1"),
        *("safetensors==0.4.4", "sentencepiece==0.1.99", "einops==0.8.0", "xformers==0.0.27.post2"),
        *("spaces==0.30.0", "loguru==0.7.2", "ftfy==6.2.0"),
    ),
    "meetings": (
        "torch==2.8.0",
        "requests",
        "pyannote-audio==4.0.4",
        "faster-whisper==1.2.1",
        "numpy",
        "pandas",
        "torchaudio==2.8.0",
    ),
    "audio": ("torch==2.4.0", "librosa==0.10.1", "accelerate==0.24.0", "numpy<2.0.0", "mistral-common"),
}
"""What ``cog.yaml`` files of public repositories ask for, and three of our own, on Python 3.11."""

_CONFIG = """\
build:
  gpu: true
  python_version: "3.11"
  python_requirements: requirements.txt
  system_packages: [ffmpeg, git]
run: run.py:Runner
"""
_TAIL = 1 << 17
_GB = 1e9
_LARGE_DEB = 1_000_000
_MOST_DEBS = 20
_UNPACKED_DEB = 3.6
"""How much larger a Debian package is unpacked, all of these together."""

Layer = frozenset[str]
"""The sha256 of what is in it."""


@dataclass(frozen=True)
class Model:
    """A lock, and its packages."""

    lock: Lock
    packages: dict[str, Artifact]
    """By the names that members of layers have."""

    def layer(self, members: Iterable[str]) -> Layer:
        """Return the packages of a layer."""
        return frozenset(self.packages[one].sha256 for one in members if one in self.packages)

    def planned(self, settings: LayerSettings) -> list[tuple[str, tuple[str, ...]]]:
        """Return the layers that a lock with these settings would have."""
        lock = self.lock
        gpu = lambda name: name.startswith("nvidia-") or name == "triton"  # noqa: E731 - as the plugin has it
        return list(plan(lock, settings, commands=len(lock.runs), goes_with_gpus=gpu))


def read(folder: Path) -> Model:
    """Read a project's lock."""
    lock = lock_format.read(folder / "cog-nix.lock", None)
    assert lock is not None, folder
    debs = (*lock.base, *lock.essential, *lock.python, *lock.system, *lock.libraries, *lock.linked)
    packages = {f"deb:{one.package}": one.artifact for one in debs}
    return Model(lock, packages | {f"wheel:{one.name}": one.artifact for one in lock.wheels})


def make(folder: Path) -> list[Path]:
    """Lock the projects that have no lock in a folder."""
    found = []
    for name, lines in PROJECTS.items():
        project = folder / name
        project.mkdir(parents=True, exist_ok=True)
        if not (project / "cog-nix.lock").exists():
            (project / "requirements.txt").write_text("".join(f"{line}\n" for line in lines))
            (project / "cog.yaml").write_text(_CONFIG)
            (project / "run.py").write_bytes((ROOT / "examples/hello-world/run.py").read_bytes())
            run([sys.executable, "-m", "cog_nix", "lock"], project, {"PYTHONPATH": f"{ROOT}:{ROOT}/hooks"})
        found.append(project)
    return found


def unpacked(artifacts: Sequence[Artifact]) -> dict[str, int]:
    """Return the bytes of files in each, by sha256; what is known of earlier runs is not asked for again."""
    kept = cache_dir() / "benchmarks-unpacked.json"
    known: dict[str, int] = json.loads(kept.read_text()) if kept.exists() else {}
    missing = [one for one in artifacts if one.sha256 not in known]
    with httpx.Client(timeout=60, follow_redirects=True) as client, ThreadPoolExecutor(4) as threads:
        sizes = threads.map(lambda one: _inside(client, one), missing)
        known.update(zip((one.sha256 for one in missing), sizes, strict=True))
    write_atomically(kept, json.dumps(known).encode())
    return known


def _inside(client: httpx.Client, artifact: Artifact) -> int:
    """Return the bytes of the files in a package, from the end of the wheel (APPNOTE.TXT, 4.3.12)."""
    if not artifact.filename.endswith(".whl"):
        return round(artifact.size * _UNPACKED_DEB)
    tail = _TAIL
    while True:
        start = max(0, artifact.size - tail)
        came = client.get(artifact.url, headers={"Range": f"bytes={start}-"}).raise_for_status().content
        try:
            with zipfile.ZipFile(_Ending(came, artifact.size)) as wheel:
                return sum(one.file_size for one in wheel.infolist())
        except EOFError:
            tail *= 4


class _Ending(io.BytesIO):
    """A file of which only the end is here."""

    def __init__(self, end: bytes, size: int) -> None:
        super().__init__(end)
        self._missing = size - len(end)

    def seek(self, place: int, whence: int = 0) -> int:
        """Go to a place of the whole file."""
        if whence == 0 and place < self._missing:
            raise EOFError
        return super().seek(place - self._missing if whence == 0 else place, whence) + self._missing

    def tell(self) -> int:
        """Return the place in the whole file."""
        return super().tell() + self._missing


def _ours(**settings: int) -> Callable[[Model], list[Layer]]:
    chosen = replace(LayerSettings(), **settings)
    return lambda model: [model.layer(members) for _, members in model.planned(chosen)]


def _everything(model: Model) -> list[Layer]:
    return [model.layer(model.packages)]


def _upstream(model: Model) -> list[Layer]:
    """A base with Python, what apt installs, the SDK, what pip installs."""
    lock = model.lock
    base = [f"deb:{one.package}" for one in (*lock.base, *lock.python, *lock.essential)]
    sdk = [f"wheel:{name}" for name in ("pip", "cog", "coglet")]
    apt = [one for one in model.packages if one.startswith("deb:") and one not in base]
    pip = [one for one in model.packages if one.startswith("wheel:") and one not in sdk]
    return [model.layer(members) for members in (base, apt, sdk, pip)]


def _each(model: Model) -> list[Layer]:
    return [model.layer([one]) for one in model.packages]


def _buckets(count: int) -> Callable[[Model], list[Layer]]:
    """Ours, with the small wheels in so many layers, by a hash of their names."""

    def grouped(model: Model) -> list[Layer]:
        found = []
        for name, members in model.planned(LayerSettings()):
            if name != "python-packages":
                found.append(model.layer(members))
                continue
            parts: dict[int, list[str]] = {}
            for one in members:
                parts.setdefault(hashlib.sha256(one.encode()).digest()[0] % count, []).append(one)
            found += map(model.layer, parts.values())
        return found

    return grouped


def _system_apart(model: Model) -> list[Layer]:
    """Ours, with system packages of a megabyte and more in layers of their own, as far as there is room."""
    found = []
    for name, members in model.planned(LayerSettings()):
        large = [one for one in members if one.startswith("deb:") and model.packages[one].size >= _LARGE_DEB]
        alone = large[:_MOST_DEBS] if name == "system-packages" else []
        found += [model.layer([one]) for one in alone]
        found.append(model.layer([one for one in members if one not in alone]))
    return found


GROUPINGS: dict[str, Callable[[Model], list[Layer]]] = {
    "ours": lambda model: [model.layer(members) for _, members in model.lock.layers],
    "one layer for everything": _everything,
    "upstream's: base, apt, SDK, pip": _upstream,
    "a layer for each package, without limit": _each,
    "wheels alone from 10 MB (2.5 MB)": _ours(heavy_bytes=10_000_000),
    "wheels alone from 4 MB (1 MB), 100 layers": _ours(heavy_bytes=4_000_000, budget=100),
    "small wheels in 8 layers by name": _buckets(8),
    "large system packages alone": _system_apart,
}


def main() -> None:
    """Print the table."""
    folders = [Path(one) for one in sys.argv[1:]] or make(ROOT / "benchmarks/locks")
    models = [read(folder) for folder in folders]
    artifacts = {one.sha256: one for model in models for one in model.packages.values()}
    inside = unpacked(list(artifacts.values()))
    print(f"{len(models)} models, {len(artifacts)} packages\n")
    print("| grouping | most layers | registry, GB | to the least | node, GB | to the least |")
    print("|---|--:|--:|--:|--:|--:|")
    least = [sum(one.size for one in artifacts.values()), sum(inside[one] for one in artifacts)]
    for name, grouping in GROUPINGS.items():
        layers = [[one for one in grouping(model) if one] for model in models]
        held = {layer for found in layers for layer in found}
        sizes = [
            sum(artifacts[one].size for layer in held for one in layer),
            sum(inside[one] for layer in held for one in layer),
        ]
        cells = [f"{size / _GB:.2f} | {size / small:.3f}" for size, small in zip(sizes, least, strict=True)]
        print(f"| {name} | {max(map(len, layers))} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
