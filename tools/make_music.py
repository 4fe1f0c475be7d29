"""Writes the built-in hold music to a file, to hear it or to start a folder of one's own from it.

``python -m tools.make_music OUT.ogg [--rate 16000] [--rounds 1]``; the format follows from the extension.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from media.prompts.music import compose


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.make_music", description="Write the built-in hold music.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rate", type=int, choices=(8000, 16_000, 48_000), default=16_000)
    parser.add_argument("--rounds", type=int, default=1, help="how often the loop is repeated")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.rounds > 100:
        parser.error("--rounds: expected 1-100")
    try:
        soundfile.write(options.out, np.tile(compose(options.rate), options.rounds), options.rate)
    except (soundfile.SoundFileError, ValueError, TypeError) as error:
        parser.error(f"{options.out}: {error}")
    print(f"{options.out}: {options.out.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
