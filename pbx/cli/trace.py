"""`tandem trace`: the SIP messages of a call, all of its legs, as a ladder or for Wireshark."""

from __future__ import annotations

import base64
from pathlib import Path

import click

from pbx.cli.control import ask, config_option


@click.command()
@config_option
@click.argument("call")
@click.option("--sip", is_flag=True, help="CALL is a SIP Call-ID instead of a call of Tandem.")
@click.option("--messages", is_flag=True, help="Show whole messages; secrets in them are masked.")
@click.option("--pcap", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write a capture file instead.")
def command(folder: Path, call: str, sip: bool, messages: bool, file: Path | None) -> None:
    """Show the SIP ladder of CALL across all its legs, with repeats and the reasons of drops.

    显示一次通话所有分支的 SIP 信令梯形图，包括重传与丢弃原因。
    """
    arguments = {"sip_call_id" if sip else "call": call}
    if messages:
        arguments["messages"] = "yes"
    if file is not None:
        arguments["format"] = "pcap"
    result: dict[str, str] = ask(folder, "trace", arguments)
    if file is not None:
        data = base64.b64decode(result["pcap"])
        file.write_bytes(data)
        click.echo(f"{file}: {len(data)} bytes")
    else:
        click.echo(result["text"], nl=False)
