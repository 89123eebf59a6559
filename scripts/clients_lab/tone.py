"""What clients without a microphone say."""

import wave
from pathlib import Path


def write_tone(path: Path) -> None:
    """Twenty seconds of something to say."""
    period = b"\x00\x10" * 10 + b"\x00\xf0" * 10
    with wave.open(str(path), "wb") as tone:
        tone.setnchannels(1)
        tone.setsampwidth(2)
        tone.setframerate(8000)
        tone.writeframes(period * (20 * 8000 // 20))
