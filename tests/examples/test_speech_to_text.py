"""Speech in, text with its times out: examples/speech-to-text, with and without a daemon."""

from __future__ import annotations

import difflib
import io
import json
import re
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import EXAMPLES, cog_nix

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.nix]

SAID = """
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,
it was the epoch of belief
"""
LENGTH = 10.45  # seconds of speech.ogg


@pytest.fixture(scope="module")
def project(built_copy: Callable[[Path], Path]) -> Path:
    """A built copy of examples/speech-to-text."""
    return built_copy(EXAMPLES / "speech-to-text")


def hear(project: Path, *options: str, audio: Path = Path("speech.ogg")) -> Any:
    return json.loads(cog_nix("predict", "-i", f"audio=@{audio}", *options, cwd=project).stdout)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def alike(text: str, other: str) -> float:
    return difflib.SequenceMatcher(None, words(text), words(other), autojunk=False).ratio()


def times(heard: Any) -> list[float]:
    return [time for segment in heard["segments"] for time in (segment["start"], segment["end"])]


@pytest.mark.parametrize("runtime", ["docker", "bundle"])
def test_speech_to_text_hears_dickens(project: Path, runtime: str) -> None:
    heard = hear(project, "--runtime", runtime)
    assert heard["duration"] == pytest.approx(LENGTH, abs=0.05)
    assert alike(heard["transcription"], SAID) > 0.9
    assert heard["transcription"] == " ".join(segment["text"] for segment in heard["segments"])
    assert len(heard["segments"]) > 1
    assert times(heard) == sorted(times(heard))
    assert 0 < times(heard)[0] < times(heard)[-1] <= LENGTH + 0.1


@pytest.mark.parametrize(
    ("style", "cue"),
    [
        pytest.param("srt", r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\nIt was the best of times", id="srt"),
        pytest.param("vtt", r"WEBVTT\n\n00:00:0\d\.\d{3} --> 00:00:0\d\.\d{3}\nIt was the best", id="vtt"),
    ],
)
def test_speech_to_text_writes_subtitles(project: Path, style: str, cue: str) -> None:
    heard = hear(project, "-i", f"transcription={style}")
    assert re.match(cue, heard["transcription"])
    assert heard["transcription"].count(" --> ") == len(heard["segments"])


def test_speech_to_text_listens_to_a_part(project: Path) -> None:
    heard = hear(project, "-i", "begin=4.5", "-i", "length=4.2")
    assert heard["duration"] == pytest.approx(4.2, abs=0.05)
    assert alike(heard["transcription"], "It was the age of wisdom, it was the age of foolishness") > 0.9
    assert times(heard)[0] >= 4.5


@pytest.mark.parametrize("seconds", [0, 2], ids=["nothing", "silence"])
def test_speech_to_text_hears_nothing(project: Path, tmp_path: Path, seconds: int) -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(44_100)
        sound.writeframes(bytes(4 * 44_100 * seconds))
    (tmp_path / "quiet.wav").write_bytes(buffer.getvalue())
    heard = hear(project, audio=tmp_path / "quiet.wav")
    assert heard == {"duration": seconds, "transcription": "", "segments": []}


def test_speech_to_text_tells_that_a_file_is_no_sound(project: Path) -> None:
    done = cog_nix("predict", "-i", "audio=@run.py", cwd=project, check=False)
    assert done.returncode != 0
    assert "ffmpeg finds no sound in this file" in done.stderr
    assert "Traceback" not in done.stdout
