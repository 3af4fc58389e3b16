import time

from cog import BaseRunner, ConcatenateIterator, Input, Path, streaming


class Runner(BaseRunner):
    def setup(self) -> None:
        print("ready to talk", flush=True)
        time.sleep(0.5)  # the server may not hear any more what is said with the last breath

    @streaming
    def run(
        self,
        text: str = Input(description="What to say", max_length=20),
        times: int = Input(description="How often", default=2, ge=1, le=5),
        tone: str = Input(default="calm", choices=["calm", "loud"]),
        attached: Path | None = Input(default=None),
        pause: float = Input(default=0.0, ge=0),
    ) -> ConcatenateIterator[str]:
        print(f"saying {text}")
        said = text.upper() if tone == "loud" else text
        for _ in range(times):
            yield f"{said} "
            time.sleep(pause)
        if attached:
            yield f"with {len(attached.read_bytes())} bytes"
