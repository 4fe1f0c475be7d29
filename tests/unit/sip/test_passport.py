"""PASSporTs and the certificates behind them: what is believed, and the status of everything that is not."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from pbx.sip.passport import judge_passport, read_passport
from pbx.sip.stir_chain import Chain, StirFault, read_certificates
from tests.unit.sip.stir import TN_LIST, Provider, make

NOW = 1_800_000_000.0
PROVIDER = Provider(NOW)
CALLER, CALLED = "+861088880000", "+861055550101"


def judge(value: str, provider: Provider = PROVIDER, **changes: Any) -> None:
    passport = read_passport([value])
    assert passport is not None
    known: dict[str, Any] = {"caller": CALLER, "called": [CALLED], "wall": NOW, "max_age": 60.0}
    chain = changes.pop("chain", None) or provider.chain
    roots = changes.pop("roots", None) or [provider.root]
    judge_passport(passport, Chain(chain, roots), **{**known, **changes})


def refuse(status: int, value: str, provider: Provider = PROVIDER, **changes: Any) -> str:
    with pytest.raises(StirFault) as found:
        judge(value, provider, **changes)
    assert found.value.status == status, found.value.reason
    return found.value.reason


def test_what_is_signed_is_believed() -> None:
    judge(PROVIDER.sign())
    passport = read_passport([PROVIDER.sign(attest="B")])
    assert passport is not None and passport.attestation == "B" and passport.origin.startswith("123e4567")
    judge(PROVIDER.sign(), called=["1000", CALLED])
    judge(PROVIDER.sign(), roots=[PROVIDER.between])


def test_a_plain_passport_needs_no_attestation() -> None:
    value = PROVIDER.sign(header={"ppt": ""}, params=f";info=<{'https://certificates.example/sp.pem'}>;alg=ES256")
    judge(value)


def test_shaken_comes_before_what_we_do_not_know() -> None:
    div = PROVIDER.sign(header={"ppt": "div"}, params=";info=<https://certificates.example/sp.pem>;ppt=div")
    found = read_passport([div, PROVIDER.sign()])
    assert found is not None and found.attestation == "A"
    assert read_passport([div]) is None and read_passport([]) is None


@pytest.mark.parametrize("seconds", [-61, 61])
def test_a_stale_one(seconds: int) -> None:
    refuse(403, PROVIDER.sign(at=NOW + seconds))


def test_somebody_elses_numbers() -> None:
    assert "caller" in refuse(438, PROVIDER.sign(caller="8613900000000"))
    assert "called" in refuse(438, PROVIDER.sign(called="8613900000000"))
    refuse(438, PROVIDER.sign(caller=""), caller="")


def test_a_changed_word_breaks_the_signature() -> None:
    value = PROVIDER.sign(attest="C")
    head, payload, rest = value.split(".", 2)
    other = PROVIDER.sign(attest="A").split(".", 2)[1]
    assert payload != other and refuse(438, f"{head}.{other}.{rest}") == "the signature is wrong"
    refuse(438, Provider(NOW).sign())
    refuse(438, f"{head}.{payload}.AAAA;info=<https://certificates.example/sp.pem>;ppt=shaken")


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (437, {"header": {"alg": "none"}}),
        (437, {"header": {"alg": "RS256"}}),
        (438, {"header": {"typ": "jwt"}}),
        (438, {"header": {"ppt": "div"}}),
        (436, {"header": {"x5u": "https://other.example/"}}),
        (438, {"claims": {"attest": "D"}}),
        (438, {"claims": {"attest": ""}}),
        (438, {"claims": {"orig": []}}),
        (438, {"claims": {"iat": "today"}}),
        (438, {"params": ' ;info="<'}),
    ],
)
def test_wrong_from_the_start(status: int, options: dict[str, Any]) -> None:
    refuse(status, PROVIDER.sign(**options))


@pytest.mark.parametrize("value", ["", "a.b.c", "..signature;info=<https://x.example/>", "x" * 10_000, "a.b.c;;;=\x00"])
def test_garbage(value: str) -> None:
    refuse(438, value)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_passport([text, f"e30.e30.e30{text}"])
    except StirFault as fault:
        assert fault.status in (436, 437, 438)


def test_certificates_we_do_not_believe() -> None:
    stranger = Provider(NOW)
    assert "no authority" in refuse(437, PROVIDER.sign(), roots=[stranger.root])
    assert "no authority" in refuse(437, PROVIDER.sign(), chain=[PROVIDER.leaf])
    late = NOW + 40 * 86_400
    assert "not valid now" in refuse(437, PROVIDER.sign(at=late), wall=late)
    untold = Provider(NOW, extra=())
    assert "no telephone numbers" in refuse(437, untold.sign(), untold)
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    critical = Provider(NOW, extra=(TN_LIST, (strange, True)))
    assert "critical" in refuse(437, critical.sign(), critical)


def test_a_provider_is_no_authority() -> None:
    """A certificate that may not certify others must not: else every provider could speak for all."""
    own = ec.generate_private_key(ec.SECP256R1())
    forged = make("victim", own, ("provider", PROVIDER.key), wall=NOW, extra=(TN_LIST,))
    forger = Provider(NOW)
    forger.key = own
    assert "no authority" in refuse(437, forger.sign(), chain=[forged, PROVIDER.leaf, PROVIDER.between])
    deeper = make("deeper", own, ("between", PROVIDER.between_key), wall=NOW, ca=True)
    last_key = ec.generate_private_key(ec.SECP256R1())
    last = make("last", last_key, ("deeper", own), wall=NOW, extra=(TN_LIST,))
    forger.key = last_key
    assert "no authority" in refuse(437, forger.sign(), chain=[last, deeper, PROVIDER.between]), "path length 0"


def test_other_keys() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    other = make("provider", key, ("between", PROVIDER.between_key), wall=NOW, extra=(TN_LIST,))
    assert "P-256" in refuse(437, PROVIDER.sign(), chain=[other, PROVIDER.between])


@pytest.mark.parametrize("pem", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_no_certificates(pem: bytes) -> None:
    with pytest.raises(StirFault) as found:
        Chain(read_certificates(pem), [])
    assert found.value.status in (436, 437)
