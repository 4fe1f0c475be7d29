"""Digest authentication through its public doors, with the RFC's own examples as anchors."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from sipmessage import URI, Message, Request, Response

from pbx.sip.auth import Account, DigestAuthenticator, answer_challenge, make_account
from pbx.sip.commands import Credentials, Flow
from pbx.sip.digest import DigestError, compute_ha1, compute_response, parse_digest
from pbx.sip.events import Origin, Output, SecurityAlert
from pbx.sip.policy import Authenticated, Challenged, Rejected

FLOW = Flow("udp", "192.0.2.7", 5060)
REALM = "tandem"
ORIGIN = Origin("extension", "1001")
KEY = b"k" * 32


class Failures:
    def __init__(self) -> None:
        self.seen: list[tuple[str, bool]] = []
        self.right = 0

    def right_credentials(self, flow: Flow, now: float) -> None:
        self.right += 1

    def wrong_credentials(self, flow: Flow, username: str, known: bool, now: float) -> Sequence[Output]:
        self.seen.append((username, known))
        return [SecurityAlert(what="wrong_credentials", flow=flow, detail=username)]


def make_server(**options: object) -> tuple[DigestAuthenticator, Failures]:
    failures = Failures()
    accounts = {"1001": make_account("1001", REALM, "s3cret", ORIGIN)}
    return DigestAuthenticator(accounts, KEY, failures=failures, **options), failures  # type: ignore[arg-type]


def make_request(method: str = "REGISTER", uri: str = "sip:tandem") -> Request:
    return Request(method, URI.parse(uri))


def to_response(challenged: Challenged) -> Response:
    response = Response(401, "Unauthorized")
    for name, value in challenged.headers:
        response.headers.add(name, value)
    return response


def answer(
    challenged: Challenged,
    request: Request,
    *,
    username: str = "1001",
    password: str = "s3cret",
    counts: dict[str, int] | None = None,
) -> Request:
    header = answer_challenge(
        to_response(challenged),
        request.method,
        str(request.uri),
        Credentials(username, password),
        {} if counts is None else counts,
        "cn0nce",
    )
    assert header is not None
    request.headers.set(*header)
    return request


def challenge(server: DigestAuthenticator, now: float = 10.0) -> Challenged:
    result = server.authenticate(make_request(), REALM, FLOW, now)
    assert isinstance(result, Challenged)
    return result


def test_rfc7616_example_sha256_and_md5() -> None:
    # RFC 7616 section 3.9.1.
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    for algorithm, expected in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        ha1 = compute_ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm)
        response = compute_response(
            algorithm, ha1, "GET", "/dir/index.html", nonce, qop="auth", nc="00000001", cnonce=cnonce
        )
        assert response == expected


def test_rfc2617_example_md5() -> None:
    ha1 = compute_ha1("Mufasa", "testrealm@host.com", "Circle Of Life")
    response = compute_response(
        "MD5",
        ha1,
        "GET",
        "/dir/index.html",
        "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        qop="auth",
        nc="00000001",
        cnonce="0a4f113b",
    )
    assert response == "6629fae49393a05397450978507c4ef1"


def test_challenge_offers_sha256_first_then_md5() -> None:
    server, _ = make_server()
    headers = challenge(server).headers
    assert [re.search(r"algorithm=([\w-]+)", value).group(1) for _, value in headers] == ["SHA-256", "MD5"]  # type: ignore[union-attr]
    for name, value in headers:
        assert name == "WWW-Authenticate"
        parameters = parse_digest(value)
        assert parameters is not None
        assert parameters["realm"] == REALM
        assert parameters["qop"] == "auth"
        assert "stale" not in parameters


@pytest.mark.parametrize("algorithms", [("SHA-256", "MD5"), ("MD5",), ("SHA-256",)])
def test_right_credentials_prove_the_origin(algorithms: tuple[str, ...]) -> None:
    server, failures = make_server(algorithms=algorithms)
    request = answer(challenge(server), make_request())
    assert server.authenticate(request, REALM, FLOW, 11.0) == Authenticated(ORIGIN)
    assert (failures.seen, failures.right) == ([], 1)


def test_credentials_survive_a_message_round_trip() -> None:
    server, _ = make_server()
    request = answer(challenge(server), make_request())
    again = Message.parse(bytes(request))
    assert isinstance(again, Request)
    assert server.authenticate(again, REALM, FLOW, 11.0) == Authenticated(ORIGIN)


@pytest.mark.parametrize(("username", "known"), [("1001", True), ("nobody", False)])
def test_wrong_password_and_unknown_user_look_alike(username: str, known: bool) -> None:
    server, failures = make_server()
    request = answer(challenge(server), make_request(), username=username, password="guess")
    result = server.authenticate(request, REALM, FLOW, 11.0)
    assert isinstance(result, Rejected)
    assert (result.status, result.reason, result.headers) == (403, "Wrong credentials", ())
    assert failures.seen == [(username, known)]
    assert result.outputs == (SecurityAlert(what="wrong_credentials", flow=FLOW, detail=username),)


def test_a_challenge_is_no_failure() -> None:
    server, failures = make_server()
    request = make_request()
    request.headers.add("Authorization", 'Digest username="1001", realm="other", nonce="n", uri="sip:x", response="r"')
    request.headers.add("Authorization", "Basic Zm9v")
    assert isinstance(server.authenticate(request, REALM, FLOW, 1.0), Challenged)
    assert failures.seen == []


def test_method_and_uri_are_protected() -> None:
    server, _ = make_server()
    request = answer(challenge(server), make_request())
    other = make_request("INVITE")
    other.headers.set("Authorization", request.headers["Authorization"])
    result = server.authenticate(other, REALM, FLOW, 11.0)
    assert isinstance(result, Rejected)
    assert result.status == 403


def test_digest_uri_for_another_user_is_refused() -> None:
    server, _ = make_server()
    request = answer(challenge(server), make_request("INVITE", "sip:1002@tandem"))
    other = make_request("INVITE", "sip:900123@tandem")
    other.headers.set("Authorization", request.headers["Authorization"])
    result = server.authenticate(other, REALM, FLOW, 11.0)
    assert isinstance(result, Rejected)
    assert result.status == 400


def test_nonce_expires_with_stale() -> None:
    server, failures = make_server(nonce_lifetime=60.0)
    request = answer(challenge(server, now=10.0), make_request())
    result = server.authenticate(request, REALM, FLOW, 70.5)
    assert isinstance(result, Challenged)
    assert all("stale=true" in value for _, value in result.headers)
    assert failures.seen == []


def test_foreign_nonce_with_right_password_is_stale_not_wrong() -> None:
    other = DigestAuthenticator({}, b"another key, 16+ bytes")
    server, failures = make_server()
    request = answer(challenge(other), make_request())
    result = server.authenticate(request, REALM, FLOW, 11.0)
    assert isinstance(result, Challenged)
    assert "stale=true" in result.headers[0][1]
    assert failures.seen == []


def test_nobody_fails_in_another_ones_name() -> None:
    """Wrong credentials with a nonce that this source was not given prove nothing against it: it may be forged."""
    server, failures = make_server()
    victim = FLOW._replace(host="198.51.100.1")
    for password, stale in (("guess", False), ("s3cret", True)):
        request = answer(challenge(server), make_request(), password=password)
        result = server.authenticate(request, REALM, victim, 11.0)
        assert isinstance(result, Challenged)
        assert ("stale=true" in result.headers[0][1]) is stale
    assert failures.seen == []


def test_replay_of_a_count_is_stale() -> None:
    server, _ = make_server()
    request = answer(challenge(server), make_request())
    assert isinstance(server.authenticate(request, REALM, FLOW, 11.0), Authenticated)
    assert isinstance(server.authenticate(request, REALM, FLOW, 11.0), Challenged)


def test_counts_may_overtake_each_other_but_not_repeat() -> None:
    server, _ = make_server()
    challenged, counts = challenge(server), dict[str, int]()
    nonce = (parse_digest(challenged.headers[0][1]) or {})["nonce"]

    def send(count: int) -> bool:
        counts.pop(nonce, None)
        request = make_request()
        headers = to_response(challenged)
        header = answer_challenge(headers, "REGISTER", "sip:tandem", Credentials("1001", "s3cret"), counts, "c")
        assert header is not None
        value = header[1]
        ha1 = compute_ha1("1001", REALM, "s3cret", "SHA-256")
        nc = f"{count:08x}"
        response = compute_response("SHA-256", ha1, "REGISTER", "sip:tandem", nonce, qop="auth", nc=nc, cnonce="c")
        value = value.replace("nc=00000001", f"nc={nc}")
        value = re.sub(r'response="\w+"', f'response="{response}"', value)
        request.headers.set("Authorization", value)
        return isinstance(server.authenticate(request, REALM, FLOW, 11.0), Authenticated)

    assert [send(n) for n in (1, 5, 3, 3, 5, 4, 200, 199, 136, 137, 5)] == [
        True, True, True, False, False, True, True, True, False, True, False,
    ]  # fmt: skip


def test_without_qop_a_nonce_is_good_once() -> None:
    server, _ = make_server(algorithms=("MD5",))
    nonce = (parse_digest(challenge(server).headers[0][1]) or {})["nonce"]
    ha1 = compute_ha1("1001", REALM, "s3cret")
    response = compute_response("MD5", ha1, "REGISTER", "sip:tandem", nonce)
    request = make_request()
    request.headers.set(
        "Authorization",
        f'Digest username="1001",realm="{REALM}",nonce="{nonce}",uri="sip:tandem",response="{response}"',
    )
    assert isinstance(server.authenticate(request, REALM, FLOW, 11.0), Authenticated)
    assert isinstance(server.authenticate(request, REALM, FLOW, 11.0), Challenged)


def test_used_nonces_are_bounded_and_evicted_ones_stay_used() -> None:
    server, _ = make_server(max_nonces=8)
    first = answer(challenge(server, now=10.0), make_request())
    assert isinstance(server.authenticate(first, REALM, FLOW, 10.0), Authenticated)
    for n in range(50):
        request = answer(challenge(server, now=11.0 + n), make_request())
        assert isinstance(server.authenticate(request, REALM, FLOW, 11.0 + n), Authenticated)
    assert server.nonces_remembered() <= 8
    assert isinstance(server.authenticate(first, REALM, FLOW, 62.0), Challenged)


def test_used_nonces_are_forgotten_when_expired() -> None:
    server, _ = make_server(nonce_lifetime=10.0)
    for n in range(30):
        request = answer(challenge(server, now=float(n * 20)), make_request())
        assert isinstance(server.authenticate(request, REALM, FLOW, float(n * 20)), Authenticated)
    assert server.nonces_remembered() <= 2


def test_only_algorithms_common_to_all_accounts_are_offered() -> None:
    old = Account("1002", Origin("extension", "1002"), {"MD5": compute_ha1("1002", REALM, "x")})
    server, _ = make_server()
    server.replace_accounts({"1001": make_account("1001", REALM, "s3cret", ORIGIN), "1002": old})
    challenged = challenge(server)
    assert len(challenged.headers) == 1
    assert "algorithm=MD5" in challenged.headers[0][1]
    request = answer(challenged, make_request(), username="1002", password="x")
    assert server.authenticate(request, REALM, FLOW, 11.0) == Authenticated(Origin("extension", "1002"))


def algorithms(challenged: Challenged) -> list[str]:
    return [(parse_digest(value) or {})["algorithm"] for _, value in challenged.headers]


def test_a_phone_that_is_puzzled_by_two_challenges_gets_one() -> None:
    server, _ = make_server()

    def ask(call_id: str, agent: str = "Phone") -> Challenged:
        request = make_request()
        request.headers.add("Call-ID", call_id)
        request.headers.add("User-Agent", agent)
        result = server.authenticate(request, REALM, FLOW, 1.0)
        assert isinstance(result, Challenged)
        return result

    assert algorithms(ask("a")) == ["SHA-256", "MD5"]
    assert algorithms(ask("b")) == ["SHA-256", "MD5"]
    assert algorithms(ask("a")) == ["MD5"]
    assert algorithms(ask("c", "baresip v1.0.0 (x86_64/linux)")) == ["MD5"]
    assert algorithms(ask("d", "baresip v3.1.0")) == ["SHA-256", "MD5"]
    understood = answer(ask("b"), make_request())
    understood.headers.add("Call-ID", "b")
    assert isinstance(server.authenticate(understood, REALM, FLOW, 2.0), Authenticated)
    assert algorithms(ask("b")) == ["SHA-256", "MD5"]
    for n in range(20_000):
        ask(f"flood{n}")
    assert len(server._unanswered) <= 8192


@pytest.mark.parametrize(
    "value",
    [
        "Digest",
        'Digest username="1001"',
        'Digest username="1001, realm="tandem"',
        'Digest realm="tandem", realm="tandem"',
        'Digest realm="tandem", username="1001", nonce="n", uri="sip:t", response="r", qop=auth, nc=1, cnonce="c"',
        'Digest realm="tandem", username="1001", nonce="n", uri="sip:t", response="r", qop=auth, nc=00000001',
        'Digest realm="tandem"' + ", x=y" * 2000,
    ],
)
def test_broken_authorization_is_400(value: str) -> None:
    server, failures = make_server()
    request = make_request()
    request.headers.add("Authorization", value)
    result = server.authenticate(request, REALM, FLOW, 1.0)
    if "realm" not in value or value.startswith('Digest username="1001"'):
        assert isinstance(result, Challenged | Rejected)
    else:
        assert isinstance(result, Rejected)
        assert result.status == 400
    assert failures.seen == []


def test_secrets_stay_out_of_reprs() -> None:
    account = make_account("1001", REALM, "s3cret", ORIGIN)
    assert "s3cret" not in repr(account)
    assert account.ha1["MD5"] not in repr(account)


# --- client ------------------------------------------------------------------------------------------------------


def provider(value: str, code: int = 401) -> Response:
    response = Response(code, "Unauthorized")
    response.headers.add("Proxy-Authenticate" if code == 407 else "WWW-Authenticate", value)
    return response


def test_client_answers_a_proxy_with_commas_in_qop_and_opaque() -> None:
    counts: dict[str, int] = {}
    header = answer_challenge(
        provider('Digest realm="sip.example.com", nonce="abc", qop="auth,auth-int", opaque="o\\"p"', 407),
        "INVITE",
        "sip:+8613800138000@sip.example.com",
        Credentials("tandem", "pw"),
        counts,
        "cn",
    )
    assert header is not None
    assert header[0] == "Proxy-Authorization"
    given = parse_digest(header[1])
    assert given is not None
    assert given["qop"] == "auth"
    assert given["nc"] == "00000001"
    assert given["opaque"] == 'o"p'
    assert counts == {"abc": 1}
    ha1 = compute_ha1("tandem", "sip.example.com", "pw")
    assert given["response"] == compute_response(
        "MD5", ha1, "INVITE", given["uri"], "abc", qop="auth", nc="00000001", cnonce="cn"
    )


def test_client_skips_what_it_does_not_know_and_takes_the_next() -> None:
    response = provider('Digest realm="r", nonce="n1", algorithm=SHA-1024')
    response.headers.add("WWW-Authenticate", 'Digest realm="r", nonce="n2", algorithm=SHA-256-sess, qop="auth"')
    header = answer_challenge(response, "REGISTER", "sip:r", Credentials("u", "p"), {}, "cn")
    assert header is not None
    assert "algorithm=SHA-256-sess" in header[1]
    assert 'nonce="n2"' in header[1]


def test_client_auth_int_hashes_the_body() -> None:
    def answer_with(body: bytes) -> str:
        header = answer_challenge(
            provider('Digest realm="r", nonce="n", qop="auth-int"'),
            "MESSAGE",
            "sip:r",
            Credentials("u", "p"),
            {},
            "cn",
            body=body,
        )
        assert header is not None
        return header[1]

    assert answer_with(b"one") != answer_with(b"two")


def test_client_gives_up_on_the_same_nonce_unless_stale() -> None:
    counts = {"n": 1}
    credentials = Credentials("u", "p")
    assert answer_challenge(provider('Digest realm="r", nonce="n"'), "BYE", "sip:r", credentials, counts, "c") is None
    again = answer_challenge(
        provider('Digest realm="r", nonce="n", stale=true'), "BYE", "sip:r", credentials, counts, "c"
    )
    assert again is not None
    assert counts["n"] == 2


def test_client_without_digest_challenge_has_no_answer() -> None:
    assert answer_challenge(provider('Bearer realm="r"'), "BYE", "sip:r", Credentials("u", "p"), {}, "c") is None
    assert answer_challenge(Response(401, "x"), "BYE", "sip:r", Credentials("u", "p"), {}, "c") is None


def test_parse_digest_names_the_place() -> None:
    with pytest.raises(DigestError, match="character 4"):
        parse_digest('Digest a=1,"b"')
