"""The ACD against reality: after a restart, and whenever the driver doubts."""

from __future__ import annotations

from collections.abc import Collection

from .callbacks import fail
from .floor import Floor
from .items import finish, withdraw
from .messages import OfferWithdrawn
from .offers import end_offer


def reconcile(floor: Floor, live_items: Collection[str], live_offers: Collection[str], now: float) -> None:
    """Drop what is no longer there. A held callback needs no live call and stays; one that an agent accepted and whose
    call is gone was not reached."""
    items, offers = set(live_items), set(live_offers)
    for item in tuple(floor.items.values()):
        if item.id not in items and not item.callback:
            withdraw(floor, item, "lost", now)
    for item_id, (agent, work) in tuple(floor.holders.items()):
        if item_id in items:
            continue
        if work.record is not None and work.record.callback:
            fail(floor, item_id, now)
        else:
            finish(floor, agent, item_id, now)
    for offer in tuple(floor.offers.values()):
        if offer.id not in offers and offer.id in floor.offers:
            end_offer(floor, offer, "withdrawn", "lost", now)
    for unknown in sorted(offers - floor.offers.keys()):
        floor.out.append(
            OfferWithdrawn(offer=unknown, item="", queue="", agent="", result="withdrawn", reason="too_late")
        )
