"""Identity headers: who is believed, what is shown to whom."""

import pytest
from sipmessage import URI, Request

from pbx.sip.party import (
    CalledFrom,
    CallerFrom,
    Diverted,
    UserData,
    get_from,
    read_party,
    write_identity,
    write_user_data,
)
from pbx.sip.wire import HeaderTable


def make(*headers: tuple[str, str], uri: str = "sip:8000@pbx") -> Request:
    request = Request("INVITE", URI.parse(uri))
    request.headers = HeaderTable()
    for name, value in (("From", '"Fay" <sip:111@x>;tag=1'), ("To", "<sip:9000@pbx>"), *headers):
        request.headers.add(name, value)
    return request


PAI = ("P-Asserted-Identity", '"Ann" <sip:+4930222@carrier>, <tel:+4930222>')
RPID = ("Remote-Party-ID", '"Rob" <sip:333@carrier>;party=calling;privacy=full;screen=yes')


@pytest.mark.parametrize(
    ("trusted", "wanted", "number", "name", "source"),
    [
        (True, "auto", "+4930222", "Ann", "p_asserted_identity"),
        (True, "p_asserted_identity", "+4930222", "Ann", "p_asserted_identity"),
        (True, "remote_party_id", "333", "Rob", "remote_party_id"),
        (True, "from", "111", "Fay", "from"),
        (False, "auto", "111", "Fay", "from"),
    ],
)
def test_which_header_is_the_caller(trusted: bool, wanted: CallerFrom, number: str, name: str, source: str) -> None:
    party = read_party(make(PAI, RPID), trusted=trusted, caller_from=wanted)
    assert (party.number, party.name, party.source) == (number, name, source)


def test_auto_goes_down_the_list() -> None:
    assert read_party(make(RPID), trusted=True).number == "333"
    assert read_party(make(("Remote-Party-ID", "<sip:444@c>;party=called")), trusted=True).number == "111"
    assert read_party(make(("P-Asserted-Identity", "<tel:+49301>")), trusted=True).number == "+49301"
    assert read_party(make(("P-Asserted-Identity", "rubbish <")), trusted=True).number == "111"


@pytest.mark.parametrize(
    ("header", "private"),
    [
        (("Privacy", "id"), True),
        (("Privacy", "critical;user"), True),
        (("Privacy", "none"), False),
        (RPID, True),
        (("X-Other", "id"), False),
    ],
)
def test_privacy(header: tuple[str, str], private: bool) -> None:
    assert read_party(make(header), trusted=True).private is private


def test_anonymous_from_shows_nothing() -> None:
    request = make()
    request.headers.set("From", '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1')
    party = read_party(request, trusted=False)
    assert (party.number, party.name, party.private) == ("", "", True)


@pytest.mark.parametrize(
    ("wanted", "called"),
    [("request_uri", "8000"), ("to", "9000"), ("p_called_party_id", "7000"), ("diversion", "6000")],
)
def test_which_header_is_the_called_number(wanted: CalledFrom, called: str) -> None:
    headers = (("P-Called-Party-ID", "<sip:7000@pbx>"), ("Diversion", "<sip:6000@pbx>;reason=no-answer"))
    assert read_party(make(*headers), trusted=True, called_from=wanted).called == called
    assert read_party(make(), trusted=True, called_from=wanted).called in ("8000", "9000")


def test_diversions_latest_first() -> None:
    party = read_party(
        make(("Diversion", "<sip:2@x>;reason=user-busy"), ("Diversion", '"B" <tel:+491>;reason=no-answer')),
        trusted=True,
    )
    assert party.diverted == (Diverted("2", "user-busy"), Diverted("+491", "no-answer"))


def test_history_info_says_the_same() -> None:
    history = (
        "<sip:1@x>;index=1, <sip:2@x?Reason=SIP%3Bcause%3D486>;index=1.1, "
        "<sip:3@x?Reason=SIP%3Bcause%3D408>;index=1.1.1, <sip:8000@x>;index=1.1.1.1"
    )
    party = read_party(make(("History-Info", history)), trusted=True)
    assert party.diverted == (Diverted("3", "no-answer"), Diverted("2", "user-busy"), Diverted("1"))
    assert read_party(make(("History-Info", history)), trusted=False).diverted == ()


def test_user_data_and_session_id() -> None:
    party = read_party(
        make(
            ("User-to-User", "48656c6c6f;encoding=hex;purpose=isdn-uui, zz;encoding=hex"),
            ("User-to-User", '"plain text";encoding=ascii'),
            ("User-to-User", "00" * 5000),
            ("Session-ID", "AB30317F1A784DC48FF824D0D3715D86;remote=00000000000000000000000000000000"),
        ),
        trusted=False,
    )
    assert party.user_data == (UserData(b"Hello", "isdn-uui"), UserData(b"plain text"))
    assert party.session_id == "ab30317f1a784dc48ff824d0d3715d86"
    assert read_party(make(("Session-ID", "short")), trusted=False).session_id == ""


def test_writing_to_a_trunk() -> None:
    headers = write_identity(
        ("p_asserted_identity", "remote_party_id", "diversion", "history_info"),
        number="+4930222",
        domain="carrier",
        name='A "B"',
        diverted=(Diverted("2", "user-busy"), Diverted("1", "no-answer")),
        called="8000",
    )
    assert headers == (
        ("P-Asserted-Identity", '"A \\"B\\"" <sip:+4930222@carrier>'),
        ("Remote-Party-ID", '"A \\"B\\"" <sip:+4930222@carrier>;party=calling;privacy=off;screen=yes'),
        ("Diversion", "<sip:2@carrier>;reason=user-busy;counter=1"),
        ("Diversion", "<sip:1@carrier>;reason=no-answer;counter=2"),
        (
            "History-Info",
            "<sip:1@carrier>;index=1, <sip:2@carrier>;index=1.1, <sip:8000@carrier>;index=1.1.1",
        ),
    )
    back = read_party(make(*headers), trusted=True)
    assert (back.number, back.name) == ("+4930222", 'A "B"')
    assert [item.number for item in back.diverted] == ["2", "1"]


@pytest.mark.parametrize(("trusted", "shown"), [(True, True), (False, False)])
def test_private_numbers_go_to_trusted_trunks_only(trusted: bool, shown: bool) -> None:
    headers = write_identity(
        ("p_asserted_identity", "remote_party_id"), number="123", domain="c", private=True, trusted=trusted
    )
    assert ("Privacy", "id") in headers
    assert any("123" in value for _, value in headers) is shown
    assert get_from("123", "c", "Ann", True) == ("sip:anonymous@anonymous.invalid", "Anonymous")
    assert get_from("123", "c", "Ann", False) == ("sip:123@c", "Ann")


def test_user_data_round_trip() -> None:
    items = (UserData(b"\x00\xff", "isdn-uui"), UserData(b"x"))
    assert read_party(make(*write_user_data(items)), trusted=False).user_data == items
