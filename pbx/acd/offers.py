"""Offers while they ring: accepted, declined, missed, withdrawn; and what that does to agent and item."""

from __future__ import annotations

from .agents import pause, settle
from .entering import find_due_overflow, overflow_item, rank_place
from .estimate import note_taken
from .floor import Floor, put_item, remove_item, schedule_item
from .messages import Assigned, DeclineReason, OfferEnd, OfferWithdrawn, Rejected
from .records import Item, OfferRecord, Round, Work

RESULTS: dict[DeclineReason, OfferEnd] = {
    "refused": "declined",
    "busy": "declined",
    "no_answer": "no_answer",
    "failed": "unreachable",
    "unreachable": "unreachable",
}


def accept(floor: Floor, offer_id: str, now: float) -> None:
    """The agent answered. Too late if the offer is gone: then his phone is to be released."""
    offer = floor.offers.get(offer_id)
    if offer is None:
        floor.out.append(
            OfferWithdrawn(offer=offer_id, item="", queue="", agent="", result="withdrawn", reason="too_late")
        )
        return
    agent, round_ = offer.agent, offer.round
    item, queue = round_.item, round_.item.queue
    _drop_offer(floor, offer)
    losers = list(round_.offers.values())
    for loser in losers:
        _drop_offer(floor, loser)
    end_round(floor, round_)
    remove_item(floor, item)
    work = Work(item.id, queue.channel, queue, now, item)
    agent.work[item.id] = work
    floor.holders[item.id] = (agent, work)
    agent.calls += 1
    agent.misses = 0
    seat = agent.seats.get(queue.name)
    if seat is not None:
        seat.queue_calls += 1
    note_taken(queue, item, now)
    floor.out.append(
        Assigned(
            item=item.id,
            queue=queue.name,
            entry=item.entry,
            agent=agent.id,
            offer=offer_id,
            device=agent.device,
            waited_s=now - item.joined_at,
            ringing_s=now - round_.started,
        )
    )
    settle(floor, agent, now)
    for loser in losers:
        _report_end(floor, loser, "withdrawn", "taken", now)
        settle(floor, loser.agent, now)


def decline(floor: Floor, offer_id: str, reason: DeclineReason, now: float) -> None:
    """The agent's phone did not take it."""
    offer = floor.offers.get(offer_id)
    if offer is None:
        floor.out.append(Rejected(command="decline", subject=offer_id, reason="unknown_offer"))
        return
    end_offer(floor, offer, RESULTS.get(reason, "declined"), reason, now)


def end_offer(floor: Floor, offer: OfferRecord, result: OfferEnd, reason: str, now: float) -> None:
    """End one offer; with the last of its round the item goes back to its place."""
    agent, round_ = offer.agent, offer.round
    _drop_offer(floor, offer)
    round_.declined.add(agent)
    _penalise(floor, offer, result, now)
    _report_end(floor, offer, result, reason, now)
    settle(floor, agent, now)
    if not round_.offers:
        end_round(floor, round_)
        put_back(floor, round_.item, now)


def expire_round(floor: Floor, round_: Round, now: float) -> None:
    """Nobody answered in time. Where all phones rang together nobody is to blame."""
    together = round_.item.queue.strategy.everyone
    offers = list(round_.offers.values())
    for offer in offers:
        _drop_offer(floor, offer)
    end_round(floor, round_)
    for offer in offers:
        if not together:
            _penalise(floor, offer, "no_answer", now)
        _report_end(floor, offer, "no_answer", "no_answer", now)
        settle(floor, offer.agent, now)
    put_back(floor, round_.item, now)


def withdraw_round(floor: Floor, round_: Round, reason: str, now: float) -> None:
    """The item goes elsewhere: its offers end without blame."""
    offers = list(round_.offers.values())
    for offer in offers:
        _drop_offer(floor, offer)
    end_round(floor, round_)
    for offer in offers:
        _report_end(floor, offer, "withdrawn", reason, now)
        settle(floor, offer.agent, now)


def put_back(floor: Floor, item: Item, now: float) -> None:
    """After a failed round: to the old place, with the needs as wide as they are by now, or out if it is time."""
    widen_item(floor, item, now)
    reason = find_due_overflow(item, now)
    if reason is not None:
        overflow_item(floor, item, reason, now)
        return
    item.state = "new"
    put_item(item)
    schedule_item(floor, item)
    floor.unmatched.append(item)


def widen_item(floor: Floor, item: Item, now: float) -> None:
    """Move to the step that the wait has reached, with its priority; the item must be in no list."""
    steps = item.plan.steps
    step = item.step
    while step + 1 < len(steps) and item.joined_at + steps[step + 1][0] <= now:
        step += 1
    if step != item.step:
        item.step = step
        rank_place(floor, item)


def end_round(floor: Floor, round_: Round) -> None:
    floor.rounds.pop(round_.id, None)
    floor.timers.cancel(("round", round_.id))
    round_.item.queue.ringing.pop(round_.item.id, None)
    round_.item.round = None


def _drop_offer(floor: Floor, offer: OfferRecord) -> None:
    del floor.offers[offer.id]
    del offer.agent.offers[offer.id]
    del offer.round.offers[offer.id]


def _report_end(floor: Floor, offer: OfferRecord, result: OfferEnd, reason: str, now: float) -> None:
    round_ = offer.round
    floor.out.append(
        OfferWithdrawn(
            offer=offer.id,
            item=round_.item.id,
            queue=round_.item.queue.name,
            agent=offer.agent.id,
            result=result,
            reason=reason,
            ringing_s=now - round_.started,
        )
    )


def _penalise(floor: Floor, offer: OfferRecord, result: OfferEnd, now: float) -> None:
    """Missed offers make an agent not ready: for a pause, and for longer after ``miss_limit`` in a row."""
    agent, queue, config = offer.agent, offer.round.item.queue.config, floor.config
    if result == "withdrawn" or agent.log_off_pending or not agent.ready_wanted:
        return
    if result == "declined":
        pause(agent, "declined", config.decline_pause_s, now)
    elif result == "unreachable":
        pause(agent, "device_failed", config.failure_pause_s, now)
    else:
        agent.misses += 1
        if agent.misses < (queue.miss_limit or config.miss_limit):
            pause(agent, "no_answer", config.miss_pause_s, now)
        elif queue.miss_rest_s > 0:
            agent.misses = 0
            pause(agent, "no_answer", queue.miss_rest_s, now)
        else:
            agent.ready_wanted = False
            agent.wanted_reason = "no_answer"
