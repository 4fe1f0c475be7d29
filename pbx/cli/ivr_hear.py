"""`tandem ivr hear`: what a menu would make of something said, from a sound file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from media.dsp.level import to_int16
from media.prompts.audio import read_at
from media.prompts.errors import PromptError
from pbx.adapters.recognise_http import HttpRecogniser
from pbx.adapters.recognise_pocketsphinx import PocketSphinxRecogniser
from pbx.ivr.flow import Flow
from pbx.ivr.loader import load_flows
from pbx.ivr.verbs.menu import MenuOptions, find_said
from pbx.ports.recogniser import Heard, Recogniser

RATE = 8000
"""A telephone's."""


@click.command("hear")
@click.argument("flow", metavar="FLOW")
@click.argument("node", metavar="NODE")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--flows", default="ivr_flows", show_default=True, type=Path, help="Folder of the flows.")
@click.option("--language", help="Language spoken; otherwise the flow's.")
@click.option("--service", default="", metavar="URL", help="Ask this web service instead of pocketsphinx.")
def command(flow: str, node: str, file: Path, flows: Path, language: str | None, service: str) -> None:
    """Try the speech of a menu: recognise FILE with the phrases of the menu in NODE.

    用声音文件试验菜单的语音识别。
    """
    found = load_flows(flows)[0].get(flow)
    if found is None:
        raise click.ClickException(f"there is no flow {flow} without errors in {flows}: see `tandem check`")
    options = find_menu(found, node)
    try:
        clip = read_at(file, str(file), RATE, max_s=30.0)
    except PromptError as error:
        raise click.ClickException(error.reason) from None
    heard = asyncio.run(recognise(to_int16(clip.audio).tobytes(), options, language or found.language, service))
    if heard.failure:
        raise click.ClickException(heard.failure)
    choice = find_said(options, heard.text) if heard.text else None
    click.echo(f"heard: {heard.text or 'nothing of the menu'} ({heard.confidence:.0%})")
    click.echo(f"choice: {choice}" if choice is not None else "no choice")


def find_menu(flow: Flow, node: str) -> MenuOptions:
    """The menu with speech in a node. Raises ClickException."""
    for step in flow.steps.values():
        if step.node == node and isinstance(step.options, MenuOptions) and step.options.speech:
            return step.options
    raise click.ClickException(f"the node {node} of flow {flow.name} has no menu with speech")


async def recognise(samples: bytes, options: MenuOptions, language: str, service: str) -> Heard:
    """One utterance, with the engine asked for."""
    engine: Recogniser = HttpRecogniser(service) if service else PocketSphinxRecogniser()
    phrases = tuple(phrase for words in options.speech.values() for phrase in words)
    try:
        return await engine.recognise(samples, RATE, language=language, phrases=phrases)
    finally:
        await engine.close()
