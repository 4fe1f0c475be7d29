"""`tandem prompts`: what flows say, which of it is recorded, and the way from a voice artist's files to the callers."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import click
import soundfile

from media.dsp.level import active_level_dbfs, normalise, peak_dbfs, to_int16, trim_silence
from media.prompts.audio import read_clip
from media.prompts.errors import PromptError
from media.prompts.speech import Speaker, parse_voices
from media.prompts.voice import Clip
from pbx.config.loader import examine
from pbx.config.voices import encode_voices
from pbx.core.references import suggest
from pbx.ivr.flow import Flow
from pbx.ivr.loader import load_flows
from pbx.ivr.prompt_list import PromptEntry, list_prompts

TARGET_DBFS = -20.0
"""Level of speech that recordings are brought to."""

flows_option = click.option(
    "--flows", default="ivr_flows", show_default=True, type=Path, help="Folder of the flows."
)  # fmt: skip


@click.group()
def command() -> None:
    """What flows say: list, export for a voice artist, take recordings in, render, normalise.

    提示音：列表、导出录音脚本、导入录音、合成、统一音量。
    """


def find_flows(folder: Path, names: tuple[str, ...]) -> list[Flow]:
    """The flows named, or all. Raises ClickException."""
    flows, _ = load_flows(folder)
    missing = [name for name in names if name not in flows]
    if missing:
        raise click.ClickException(f"there is no flow {missing[0]} without errors in {folder}: see `tandem check`")
    return [flows[name] for name in names] if names else list(flows.values())


@command.command("list")
@click.argument("names", nargs=-1, metavar="[FLOW…]")
@flows_option
def list_all(names: tuple[str, ...], flows: Path) -> None:
    """List prompts with language, state and text. 列出提示音。"""
    entries = list(list_prompts(find_flows(flows, names)))
    for entry in entries:
        click.echo(f"{entry.flow}/{entry.name} [{entry.language}] {entry.kind}: {entry.text or '-'}")
    counts = Counter(entry.kind for entry in entries)
    click.echo("\n" + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))


@command.command()
@click.argument("names", nargs=-1, metavar="[FLOW…]")
@click.option("--language", help="Only this language.")
@click.option("--all", "everything", is_flag=True, help="Those that are recorded too.")
@click.option(
    "-o", "--output", type=Path, help="File (CSV with a byte order mark, for spreadsheets); else the terminal."
)
@flows_option
def script(names: tuple[str, ...], language: str | None, everything: bool, output: Path | None, flows: Path) -> None:
    """Export what a voice artist has to read, with the file names. 导出录音脚本（CSV）。"""
    kinds = ("synthesised", "recorded") if everything else ("synthesised",)
    wanted = [
        entry
        for entry in list_prompts(find_flows(flows, names))
        if entry.kind in kinds and language in (None, entry.language)
    ]
    if output is None:
        write_script(wanted, sys.stdout)
        return
    with output.open("w", encoding="utf-8-sig", newline="") as file:
        write_script(wanted, file)
    click.echo(f"{output}: {len(wanted)} texts")


def write_script(entries: Iterable[PromptEntry], file: TextIO) -> None:
    """CSV: file name, language, text."""
    writer = csv.writer(file)
    writer.writerow(["file", "language", "text"])
    for entry in entries:
        writer.writerow([f"{entry.flow}/prompts/{entry.language}/{entry.name}.wav", entry.language, entry.text])


@command.command()
@click.argument("flow")
@click.argument("prompt")
@click.argument("language")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as-is", is_flag=True, help="Keep level and silence as they are.")
@flows_option
def replace(flow: str, prompt: str, language: str, file: Path, as_is: bool, flows: Path) -> None:
    """Take a recording in: trimmed, brought to the common level, put in its place. 导入录音。"""
    (found,) = find_flows(flows, (flow,))
    if prompt not in found.prompts or language not in found.languages:
        raise click.ClickException(f"the flow {flow} has no prompt {prompt} in {language}")
    entry = next(e for e in list_prompts([found]) if (e.name, e.language) == (prompt, language))
    if entry.kind == "composed":
        raise click.ClickException(f"{prompt} fills in values ({entry.text}): it cannot be recorded as one piece")
    clip = read(file)
    target = flows / flow / "prompts" / language / f"{prompt}.wav"
    save(clip if as_is else level(clip), target)
    click.echo(f"{target}: {describe(read(target))}; `tandem reload` puts it in force")


@command.command("normalise")
@click.argument("names", nargs=-1, metavar="[FLOW…]")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would change.")
@flows_option
def normalise_all(names: tuple[str, ...], dry_run: bool, flows: Path) -> None:
    """Bring recordings to the common level, where they are more than 1 dB off. 统一录音音量。"""
    for entry in list_prompts(find_flows(flows, names)):
        if not entry.recording:
            continue
        path = Path(entry.recording)
        clip = read(path)
        before = active_level_dbfs(clip.audio, clip.rate)
        better = level(clip)
        after = active_level_dbfs(better.audio, better.rate)
        if abs(after - before) <= 1.0:
            continue
        target = path.with_suffix(".wav")
        if not dry_run:
            save(better, target)
            if target != path:
                path.unlink()
        click.echo(f"{path}: {before:.1f} → {after:.1f} dBFS")


@command.command()
@click.argument("flow")
@click.argument("names", nargs=-1, metavar="[PROMPT…]")
@click.option("-o", "--output", type=Path, default=Path("prompts"), show_default=True, help="Folder for the files.")
@click.option("--config", default="config", show_default=True, type=Path, help="Configuration with the voices.")
@flows_option
def render(flow: str, names: tuple[str, ...], output: Path, config: Path, flows: Path) -> None:
    """Speak prompts into WAV files, to listen to them. 合成提示音为 WAV 文件试听。"""
    (found,) = find_flows(flows, (flow,))
    for name in names:
        if name not in found.prompts:
            raise click.ClickException(f"the flow {flow} has no prompt {name}: {suggest(name, found.prompts)}")
    configuration = examine(config).configuration
    if configuration is None:
        raise click.ClickException(f"the configuration in {config} has errors: see `tandem check`")
    speaker = Speaker(parse_voices(encode_voices(configuration.speech, lambda source: "")))
    try:
        for entry in list_prompts([found]):
            if names and entry.name not in names:
                continue
            if entry.kind != "synthesised":
                if names:
                    click.echo(f"{entry.name} [{entry.language}] is {entry.kind}: not spoken here", err=True)
                continue
            target = output / entry.language / f"{entry.name}.wav"
            save(speaker.speak(entry.text, entry.language), target)
            click.echo(str(target))
    except PromptError as error:
        raise click.ClickException(error.reason) from None
    finally:
        speaker.close()


def read(file: Path) -> Clip:
    """A sound. Raises ClickException."""
    try:
        return read_clip(file, str(file))
    except PromptError as error:
        raise click.ClickException(error.reason) from None


def level(clip: Clip) -> Clip:
    """Without silence around it, at the common level."""
    audio = trim_silence(clip.audio, clip.rate)
    if not len(audio):
        raise click.ClickException("there is only silence in it")
    return Clip(normalise(audio, clip.rate, rms=TARGET_DBFS), clip.rate)


def save(clip: Clip, target: Path) -> None:
    """16-bit WAV, in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    soundfile.write(new, to_int16(clip.audio), clip.rate, subtype="PCM_16", format="WAV")
    new.replace(target)


def describe(clip: Clip) -> str:
    """Length, rate and level in a few words."""
    loud = active_level_dbfs(clip.audio, clip.rate)
    return f"{len(clip.audio) / clip.rate:.1f} s, {clip.rate} Hz, {loud:.1f} dBFS, peak {peak_dbfs(clip.audio):.1f}"
