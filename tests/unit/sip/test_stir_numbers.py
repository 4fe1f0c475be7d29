"""For which numbers a STIR certificate speaks (RFC 8226 section 9), and that its signature is worth no more."""

from __future__ import annotations

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pbx.sip.passport import judge_passport, read_passport
from pbx.sip.stir_chain import TN_AUTHORIZATION, Chain, StirFault
from pbx.sip.stir_numbers import covers
from tests.unit.sip.stir import SPC, Provider, make

NOW = 1_800_000_000.0
CALLER = "861088880000"


def tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 255])
    return bytes([tag]) + length + content


def one(number: str) -> bytes:
    return tlv(0xA2, tlv(0x16, number.encode()))


def span(start: str, count: int, *more: bytes) -> bytes:
    return tlv(0xA1, tlv(0x30, tlv(0x16, start.encode()), tlv(0x02, count.to_bytes(4, "big")), *more))


def listed(*entries: bytes) -> bytes:
    return tlv(0x30, *entries)


@pytest.mark.parametrize(
    ("der", "fits"),
    [
        (SPC, True),
        (listed(one(CALLER)), True),
        (listed(one("861088880001")), False),
        (listed(one("86108888000")), False),
        (listed(span("861088880000", 2)), True),
        (listed(span("861088879001", 1000)), True),
        (listed(span("861088879000", 1000)), False),
        (listed(span("861088880001", 1000)), False),
        (listed(span("86108888", 10_000_000)), False),
        (listed(span("861088880000", 2, tlv(0x05))), True),
        (listed(span("86#", 1000), one("*")), False),
        (listed(*(one(f"8613{n:09}") for n in range(500)), one(CALLER)), True),
        (listed(one("8613900000000"), tlv(0xA0, tlv(0x16, b"1234"))), True),
    ],
)
def test_which_numbers(der: bytes, fits: bool) -> None:
    assert covers(der, CALLER) is fits


@pytest.mark.parametrize(
    "der",
    [
        b"",
        listed(),
        listed(one(CALLER))[:-1],
        listed(one(CALLER)) + b"\0",
        listed(one("")),
        listed(one("+861088880000")),
        listed(one("1" * 16)),
        listed(span("861088880000", 1)),
        listed(span("861088880000", 0)),
        listed(tlv(0xA1, tlv(0x30, tlv(0x16, b"86")))),
        listed(one(CALLER), tlv(0xA3, b"x")),
        listed(tlv(0xA0, tlv(0x16))),
        b"\x30\x80\x00\x00",
        b"\x30\x81\x05" + one("8")[:5],
        b"\x30\x84\xff\xff\xff\xff",
    ],
)
def test_what_is_no_list(der: bytes) -> None:
    with pytest.raises(ValueError):
        covers(der, CALLER)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(der: bytes) -> None:
    try:
        assert covers(der, CALLER) in (True, False)
    except ValueError:
        pass


def extension(der: bytes) -> tuple[x509.UnrecognizedExtension, bool]:
    return x509.UnrecognizedExtension(TN_AUTHORIZATION, der), False


def judge(provider: Provider, chain: list[x509.Certificate] | None = None) -> str:
    passport = read_passport([provider.sign(CALLER)])
    assert passport is not None
    try:
        judge_passport(
            passport,
            Chain(chain or provider.chain, [provider.root]),
            caller=f"+{CALLER}",
            called=["+861055550101"],
            wall=NOW,
            max_age=60.0,
        )
    except StirFault as fault:
        return f"{fault.status} {fault.reason}"
    return "passed"


def test_a_good_signature_for_somebody_elses_number() -> None:
    assert judge(Provider(NOW, extra=(extension(listed(one(CALLER))),))) == "passed"
    assert judge(Provider(NOW, extra=(extension(listed(span("861088880000", 100))),))) == "passed"
    other = Provider(NOW, extra=(extension(listed(one("861088889999"))),))
    assert judge(other) == "437 the certificate does not speak for the caller's number"
    assert judge(Provider(NOW, extra=(extension(b"\x30\x00"),))) == "437 a certificate cannot be read"


def test_an_authority_gives_no_more_than_it_has() -> None:
    provider = Provider(NOW, extra=(extension(listed(one(CALLER))),))
    for numbers, verdict in ((span("861088880000", 10), "passed"), (span("861088890000", 10), "437")):
        between = make(
            "between",
            provider.between_key,
            ("root", provider.root_key),
            wall=NOW,
            ca=True,
            extra=(extension(listed(numbers)),),
        )
        assert judge(provider, [provider.leaf, between]).startswith(verdict)
