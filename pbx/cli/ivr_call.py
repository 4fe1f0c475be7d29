"""`tandem ivr call`: "call" a flow from the terminal with the keyboard."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from media.protocol import Speech
from pbx.cli.ivr_database import open_databases
from pbx.ivr import load_folder
from pbx.ivr import messages as m
from pbx.ivr.cases import Action, Case
from pbx.ivr.testing import Stage, Stuck

HELP = """\
  0-9 * #     press keys                    <Enter>       wait five seconds
  say WORDS   speak                         h             hang up
  speak 5s    leave a recording of 5 s      q             leave
  queue WORD  answered, completed, timeout, full, closed, no_agents, overflow
  dial WORD   answered, completed, busy, no_answer, rejected, unavailable, failed
"""


class Terminal(Stage):
    """A stage whose world is asked of the person at the keyboard."""

    words_shown = 10_000

    def __init__(self, *given: Any, listen: bool) -> None:
        super().__init__(*given)
        self.listen = listen
        self.shown = 0

    def tell(self, line: str) -> None:
        super().tell(line)
        click.echo(self.record.story[-1])

    def note(self, output: m.Output) -> None:
        super().note(output)
        if isinstance(output, m.Queue):
            click.secho(f"          waits in queue {output.queue} {output.data or ''}", fg="cyan")
        elif isinstance(output, m.Dial):
            click.secho(f"          calls {output.destination}", fg="cyan")
        elif isinstance(output, m.Transfer):
            click.secho(f"          transferred to {output.destination}", fg="cyan")
        elif isinstance(output, m.Play) and self.listen:
            speak(output)

    def fetch(self, output: m.Fetch) -> m.Input:
        click.secho(f"          {output.method} {output.url} {output.body or ''}", fg="cyan")
        text = click.prompt("          answer in JSON, or nothing for a failure", default="", show_default=False)
        try:
            return m.Fetched(output.request, 200, json.loads(text)) if text else self.fail(output)
        except ValueError as error:
            click.echo(f"          no JSON: {error}")
            return self.fail(output)

    def fail(self, output: m.Fetch) -> m.Input:
        return m.Fetched(output.request, failure="error")

    def ask_database(self, output: m.Query) -> m.Input:
        answer = super().ask_database(output)
        click.secho(f"          {output.source}: {getattr(answer, 'rows', '')}", fg="cyan")
        return answer


def speak(play: m.Play) -> None:
    """Let the texts be heard, where there is a program that plays sound."""
    player = next((name for name in ("aplay", "paplay", "afplay", "ffplay") if shutil.which(name)), None)
    if player is None:
        return
    import soundfile

    from media.prompts.speech import Speaker

    speaker = Speaker()
    try:
        for item in play.items:
            if isinstance(item, Speech):
                clip = speaker.speak(item.text, item.language)
                with tempfile.NamedTemporaryFile(suffix=".wav") as file:
                    soundfile.write(file.name, clip.audio, clip.rate)
                    arguments = ["-nodisp", "-autoexit", "-loglevel", "quiet"] if player == "ffplay" else []
                    subprocess.run([player, *arguments, file.name], check=False, stderr=subprocess.DEVNULL)
    finally:
        speaker.close()


def read_line(line: str) -> Action | None:
    """What a line typed means; None for what is not understood."""
    word, _, rest = line.strip().partition(" ")
    if not word:
        return Action(silence=5.0)
    if all(c in "0123456789*#" for c in line.strip()):
        return Action(press=line.strip())
    if word == "h":
        return Action(hang_up=True)
    if word in ("say", "queue", "dial", "speak", "callback", "hear") and rest:
        return Action.model_validate({word: rest})
    return None


@click.command("call")
@click.argument("name", metavar="FLOW")
@click.option("--flows", default="ivr_flows", show_default=True, type=Path, help="Folder of the flows.")
@click.option("--caller", default="13800138000", show_default=True)
@click.option("--called", default="4008001234", show_default=True)
@click.option("--language", default="", help="Language of the caller, as if known.")
@click.option("--at", type=click.DateTime(), help="Local time of the call; now otherwise.")
@click.option("--calendar", "calendars", multiple=True, metavar="NAME=STATE", help="open, closed or holiday:NAME.")
@click.option("--listen", is_flag=True, help="Hear the texts too (needs aplay, paplay, afplay or ffplay).")
def command(
    name: str,
    flows: Path,
    caller: str,
    called: str,
    language: str,
    at: datetime | None,
    calendars: tuple[str, ...],
    listen: bool,
) -> None:
    """ "Call" a flow with the keyboard; the clock stands still while you think.

    在终端中用键盘“拨打”流程。
    """
    library, _ = load_folder(flows)
    if name not in library:
        raise click.ClickException(f"there is no flow {name} without errors in {flows}: see `tandem check`")
    states = dict(item.partition("=")[::2] for item in calendars)
    wall = at.astimezone() if at else datetime.now(UTC).astimezone()
    case = Case(name="call", caller=caller, called=called, language=language, at=wall, calendars=states)
    stage = Terminal(library[name], case, open_databases(flows), listen=listen)
    click.echo(HELP)
    try:
        stage.take(stage.machine.start(0.0, wall))
        while not stage.machine.ended:
            line = click.prompt("", prompt_suffix="> ", default="", show_default=False)
            if line.strip() == "q":
                break
            converse(stage, line)
    except (EOFError, click.Abort):
        click.echo()
    click.echo(f"variables: {stage.machine.variables}\ndata: {stage.machine.data}")


def converse(stage: Terminal, line: str) -> None:
    """Carry out one line."""
    try:
        action = read_line(line)
        if action is None:
            click.echo(HELP)
        else:
            stage.act(action)
    except (Stuck, ValueError) as error:
        click.secho(f"          {error}", fg="red")
