import subprocess

import numpy as np
from cog import BaseModel, BaseRunner, Input, Path
from moonshine_voice import ModelArch, Transcriber, get_model_path

RATE = 16_000  # samples a second, what the model was trained on


class Segment(BaseModel):
    start: float
    end: float
    text: str


class Output(BaseModel):
    duration: float
    transcription: str
    segments: list[Segment]


def decode(audio: Path, begin: float, length: float | None) -> np.ndarray:
    """Samples in one channel, between -1 and 1, of whatever ffmpeg can read."""
    limit = [] if length is None else ["-t", str(length)]
    ffmpeg = ["ffmpeg", "-nostdin", "-loglevel", "error", "-ss", str(begin), *limit, "-i", str(audio)]
    done = subprocess.run(
        [*ffmpeg, "-vn", "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"], capture_output=True, check=False
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise ValueError(f"ffmpeg finds no sound in this file: {reason}")
    return np.frombuffer(done.stdout, dtype="<f4")


def timestamp(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def subtitles(segments: list[Segment], style: str) -> str:
    if style == "plain text":
        return " ".join(segment.text for segment in segments)
    point = "," if style == "srt" else "."
    cues = [
        f"{timestamp(cue.start, point)} --> {timestamp(cue.end, point)}\n{cue.text}\n" for cue in segments
    ]
    if style == "srt":
        return "\n".join(f"{number}\n{cue}" for number, cue in enumerate(cues, start=1))
    return "\n".join(["WEBVTT\n", *cues])


class Runner(BaseRunner):
    def setup(self) -> None:
        self.model = Transcriber(str(get_model_path("tiny-en")), ModelArch.TINY)

    def run(
        self,
        audio: Path = Input(description="English speech, in any format that ffmpeg reads; a film will do"),
        transcription: str = Input(
            description="How the text is written",
            default="plain text",
            choices=["plain text", "srt", "vtt"],
        ),
        begin: float = Input(description="Seconds to leave out at the beginning", default=0, ge=0),
        length: float | None = Input(description="Seconds to listen to; default: all", default=None, ge=0.1),
    ) -> Output:
        samples = decode(audio, begin, length)
        lines = self.model.transcribe_without_streaming(samples, RATE).lines if samples.size else []
        starts = [begin + line.start_time for line in lines]
        ends = [start + line.duration for start, line in zip(starts, lines, strict=True)]
        until = [*starts, float("inf")][1:]  # the model hears a little of the next segment too
        segments = [
            Segment(start=round(start, 2), end=round(min(end, following), 2), text=line.text)
            for line, start, end, following in zip(lines, starts, ends, until, strict=True)
        ]
        return Output(
            duration=round(len(samples) / RATE, 2),
            transcription=subtitles(segments, transcription),
            segments=segments,
        )
