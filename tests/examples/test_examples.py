"""Every example builds, and answers what its README says, asked through the command line."""

from __future__ import annotations

import io
import json
import math
import struct
import subprocess
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[2] / "examples"


def predict(image: str, *options: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cog_nix", "predict", image, *options]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def answer(image: str, *options: str, cwd: Path) -> str:
    done = predict(image, *options, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def beep(seconds: float = 1.0, rate: int = 8000) -> bytes:
    """Return a WAV file with a 440 Hz tone."""
    frames = (int(20000 * math.sin(2 * math.pi * 440 * n / rate)) for n in range(int(seconds * rate)))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"".join(struct.pack("<h", frame) for frame in frames))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "example", sorted(path.parent for path in EXAMPLES.glob("*/cog.yaml")), ids=lambda path: path.name
)
def test_an_example_is_a_project_with_a_page(example: Path) -> None:
    readme = (example / "README.md").read_text()
    assert readme.startswith(f"# {example.name}\n")
    assert (example / "cog.yaml").is_file()
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert f"def test_{example.name.replace('-', '_')}_" in tests, "has no test that runs it"


@pytest.mark.nix
@pytest.mark.docker
@pytest.mark.network
def test_hello_world_greets(built_image: Callable[[str], str], tmp_path: Path) -> None:
    assert answer(built_image("hello-world"), "-i", "text=Ada", cwd=tmp_path) == "hello Ada\n"


@pytest.mark.nix
@pytest.mark.docker
@pytest.mark.network
def test_read_text_reads_the_receipt(built_image: Callable[[str], str], tmp_path: Path) -> None:
    picture = EXAMPLES / "read-text" / "receipt.png"
    output = json.loads(answer(built_image("read-text"), "-i", f"image=@{picture}", cwd=tmp_path))
    assert output["lines"] == ["Nix & Daughters", "Tea 3.20", "Scones 4.50", "Total 7.70"]
    assert output["text"] == "\n".join(output["lines"])
    assert all(0.9 < score <= 1 for score in output["scores"])


@pytest.mark.nix
@pytest.mark.docker
@pytest.mark.network
def test_audio_waveform_draws_a_picture(built_image: Callable[[str], str], tmp_path: Path) -> None:
    (tmp_path / "beep.wav").write_bytes(beep())
    answer(built_image("audio-waveform"), "-i", "audio=@beep.wav", "-i", "width=320", cwd=tmp_path)
    header = (tmp_path / "output.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:24]) == (320, 160)


@pytest.mark.nix
@pytest.mark.docker
@pytest.mark.network
def test_audio_waveform_tells_that_a_file_is_no_sound(
    built_image: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no sound")
    done = predict(built_image("audio-waveform"), "-i", "audio=@notes.txt", cwd=tmp_path)
    assert done.returncode != 0
    assert "ffmpeg" in done.stderr
    assert "Traceback" not in done.stdout


@pytest.mark.nix
@pytest.mark.docker
@pytest.mark.network
def test_streaming_words_writes_like_alice(built_image: Callable[[str], str], tmp_path: Path) -> None:
    image = built_image("streaming-words")
    options = ("-i", "start=Alice", "-i", "words=8", "-i", "delay=0")
    first = "".join(json.loads(answer(image, *options, cwd=tmp_path)))
    words = (EXAMPLES / "streaming-words" / "alice.txt").read_text().split()
    assert first.split()[0] == "Alice"
    assert len(first.split()) == 8
    assert set(first.split()) <= set(words)
    again = "".join(json.loads(answer(image, *options, cwd=tmp_path)))
    assert again == first, "the same seed writes the same words"
    assert "".join(json.loads(answer(image, *options, "-i", "seed=5", cwd=tmp_path))) != first
