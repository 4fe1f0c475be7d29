"""Identity headers that hold no number where one is looked for."""

from __future__ import annotations

from pbx.sip.party import Diverted, read_party, user_of, write_identity
from tests.unit.sip.test_party import make


def test_an_asserted_identity_without_a_user_gives_way_to_the_next() -> None:
    party = read_party(make(("P-Asserted-Identity", "<sip:carrier.example>, <tel:+49307>")), trusted=True)
    assert (party.number, party.source) == ("+49307", "p_asserted_identity")


def test_a_remote_party_that_hides_nothing_is_not_private() -> None:
    for value in ("<sip:333@c>;privacy=off", "<sip:333@c>;privacy=none", "<sip:333@c>"):
        party = read_party(make(("Remote-Party-ID", value)), trusted=True)
        assert (party.number, party.source, party.private) == ("333", "remote_party_id", False)


def test_diversions_without_a_number_are_passed_over() -> None:
    party = read_party(make(("Diversion", "<sip:gateway.example>, <sip:2@x>;reason=no-answer")), trusted=True)
    assert party.diverted == (Diverted("2", "no-answer"),)
    history = "<sip:1@x>;index=1, <sip:gateway.example>;index=1.1, <sip:8000@x>;index=1.1.1"
    assert read_party(make(("History-Info", history)), trusted=True).diverted == (Diverted("1"),)


def test_history_to_a_trunk_names_the_present_target_only_if_it_is_known() -> None:
    def write(called: str) -> str:
        headers = write_identity(("history_info",), number="1", domain="d", diverted=(Diverted("2"),), called=called)
        return dict(headers)["History-Info"]

    assert write("3") == "<sip:2@d>;index=1, <sip:3@d>;index=1.1"
    assert write("") == "<sip:2@d>;index=1"


def test_a_uri_that_cannot_be_read_has_no_user() -> None:
    assert user_of("no uri at all") == ""
    assert user_of("sip:7@x") == "7"
