"""What is recorded, where it goes and for how long it is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from pbx.config.base import AlsoWritten, Bytes, ConfigPath, Model, Percent, refuse

_MODES = ("all", "none", "on_demand")


def _read_word(value: object) -> object:
    if not isinstance(value, str):
        return value
    word = value.strip()
    if word.endswith("%"):
        return {"mode": "percentage", "percent": word}
    if word not in _MODES:
        raise refuse(f"{word!r} is no recording policy", "all, none, on_demand, a percentage such as 10%, or a mapping")
    return {"mode": word}


class RecordingPolicy(Model):
    """Which calls are recorded."""

    mode: Literal["all", "none", "percentage", "on_demand"]
    """All calls, none, a share of them chosen by chance, or those where an agent or supervisor asks for it."""
    percent: Percent | None = None
    """The share, with mode percentage."""

    @model_validator(mode="after")
    def _check_percent(self) -> RecordingPolicy:
        if (self.mode == "percentage") != (self.percent is not None):
            raise refuse(
                "percent: belongs to mode: percentage, and that needs it", "mode: percentage with percent: 0-100"
            )
        return self


Policy = Annotated[
    RecordingPolicy,
    BeforeValidator(_read_word),
    AlsoWritten({"type": "string", "pattern": r"^(all|none|on_demand|[0-9.]+ *%)$"}),
]
"""A recording policy: `all`, `none`, `on_demand`, `10%`, or a mapping with details."""


class Recording(Model):
    """Recordings in general."""

    root: ConfigPath | None = None
    """Folder of the recordings, by date; default: `recordings` in the data folder."""
    format: Literal["pcm16", "pcmu", "pcma"] = "pcm16"
    """Encoding of the samples in the WAV file."""
    policy: Policy = RecordingPolicy(mode="none")
    """Where trunk, queue, agent and extension say nothing."""
    sides: tuple[Literal["trunk", "agent"], ...] = ("trunk",)
    """Record at the trunk's leg (customer left, all he heard right), at the agent's leg (his view), or both."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "{date:%Y/%m/%d}/{time:%H%M%S}-{call}"
    """Path below the root, without the suffix."""
    archive: Literal["none", "flac", "opus"] = "none"
    """After the call make the WAV a FLAC (half the size, nothing lost) or Opus (a tenth) with both channels; voice
    messages stay as they are."""
    archive_at_once: Annotated[int, Field(ge=1, le=8)] = 1
    """So many recordings are converted at a time, each by a process of low priority."""
    retention_days: Annotated[int, Field(ge=0)] = 180
    """Recordings older than this are deleted; 0: never."""
    low_watermark: Bytes = 2 * 2**30
    """Less free disk raises an alarm."""
    full_watermark: Bytes = 200 * 2**20
    """Less free disk stops new recordings."""
    when_full: Literal["continue", "reject"] = "continue"
    """Then calls go on unrecorded, or calls that have to be recorded are refused."""

    @model_validator(mode="after")
    def _check_watermarks(self) -> Recording:
        if self.full_watermark >= self.low_watermark:
            raise refuse("the watermarks are out of order", "full_watermark below low_watermark")
        return self
