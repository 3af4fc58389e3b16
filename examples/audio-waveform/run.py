import subprocess
import tempfile

from cog import BaseRunner, Input, Path


class Runner(BaseRunner):
    def run(
        self,
        audio: Path = Input(description="Sound, or a video with sound, in any format that ffmpeg reads"),
        width: int = Input(description="Width of the picture in pixels", default=640, ge=16, le=4096),
        height: int = Input(description="Height of the picture in pixels", default=160, ge=16, le=4096),
        colour: str = Input(
            description="Colour of the wave", default="teal", choices=["teal", "coral", "navy"]
        ),
    ) -> Path:
        picture = Path(tempfile.mkdtemp()) / "waveform.png"
        wave = f"aformat=channel_layouts=mono,showwavespic=size={width}x{height}:colors={colour}"
        ffmpeg = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", str(audio)]
        subprocess.run(
            [*ffmpeg, "-filter_complex", wave, "-frames:v", "1", str(picture)],
            check=True,
        )
        return picture
