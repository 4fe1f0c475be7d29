"""Taking confirmed legs back after a restart of call control, from what ``Leg.to_state`` wrote."""

from __future__ import annotations

from typing import Any

from .dialog import Dialog
from .endpoint import Endpoint
from .events import Origin
from .leg import Leg

CSEQ_GAP = 100
"""Requests that may have been sent after the last export; their numbers must not be used again."""


class RestoredLeg(Leg):
    """A confirmed leg whose beginning nobody remembers."""

    __slots__ = ("owns_call_id",)


def restore_leg(endpoint: Endpoint, state: dict[str, Any]) -> None:
    """Make the leg live again; a leg that is already here is left alone."""
    if state["leg"] in endpoint.legs:
        return
    dialog = Dialog.from_state(state["dialog"])
    dialog.local_cseq += CSEQ_GAP
    # The old connection died with the old process.
    dialog.flow = dialog.flow._replace(connection=0)
    leg = RestoredLeg(endpoint, state["leg"], dialog)
    leg.owns_call_id = bool(state["owns_call_id"])
    leg.allows = frozenset(state["allows"])
    leg.never_update = bool(state.get("never_update", False))
    leg.local_sdp = state["local_sdp"]
    leg.remote_sdp = state["remote_sdp"]
    if state["origin"]:
        leg.origin = Origin(*state["origin"])
    endpoint.add_dialog(dialog, leg)
    leg.session.restore(state["session"])
    leg.on_confirmed()
