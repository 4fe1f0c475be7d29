"""Bodies of dialog notifications: what busy lamps show (RFC 4235 section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from .xml_text import quote

DialogState = Literal["trying", "early", "confirmed", "terminated"]


class WatchedDialog(msgspec.Struct, frozen=True, kw_only=True):
    """One dialog of the watched phone, seen from that phone."""

    id: str
    """Names it in all notifications of a subscription."""
    state: DialogState
    direction: Literal["initiator", "recipient"] | None = None
    call_id: str = ""
    local_tag: str = ""
    """Tag of the watched phone; with ``remote_tag`` it lets a watcher pick the call up (RFC 3891)."""
    remote_tag: str = ""
    remote: str = ""
    """URI of the other party; empty where it is not to be told."""
    remote_name: str = ""
    on_hold: bool = False
    """The watched phone has put the other party on hold (RFC 4235 section 4.1.6.1, ``+sip.rendering``)."""


def write_dialog_info(entity: str, version: int, dialogs: Iterable[WatchedDialog]) -> bytes:
    """The whole state (``state="full"``) of ``entity``, the URI that was subscribed to."""
    inside = "".join(_write_dialog(entity, dialog) for dialog in dialogs)
    return (
        '<?xml version="1.0"?>\n<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" '
        f'version="{version}" state="full" entity="{quote(entity)}">\n{inside}</dialog-info>\n'
    ).encode()


def _write_dialog(entity: str, dialog: WatchedDialog) -> str:
    attributes = f'id="{quote(dialog.id)}"'
    if dialog.call_id:
        attributes += f' call-id="{quote(dialog.call_id)}"'
    if dialog.local_tag:
        attributes += f' local-tag="{quote(dialog.local_tag)}"'
    if dialog.remote_tag:
        attributes += f' remote-tag="{quote(dialog.remote_tag)}"'
    if dialog.direction is not None:
        attributes += f' direction="{dialog.direction}"'
    text = f" <dialog {attributes}>\n  <state>{dialog.state}</state>\n"
    if dialog.state != "terminated":
        rendering = "no" if dialog.on_hold else "yes"
        text += (
            f'  <local><identity>{quote(entity)}</identity><target uri="{quote(entity)}">'
            f'<param pname="+sip.rendering" pvalue="{rendering}"/></target></local>\n'
        )
        if dialog.remote:
            name = f' display="{quote(dialog.remote_name)}"' if dialog.remote_name else ""
            remote = quote(dialog.remote)
            text += f'  <remote><identity{name}>{remote}</identity><target uri="{remote}"/></remote>\n'
    return f"{text} </dialog>\n"
