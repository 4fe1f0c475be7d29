"""The cases of RFC 4475 and RFC 5118, written from what the RFCs say each must contain, with the outcome we want.

Outcomes: a status we must answer with, ``call`` (an IncomingCall, answered 100), ``dropped`` (silence and a reason),
``stray`` (a good response that belongs to nothing). ``why`` cites the section.
"""

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    name: str
    why: str
    outcome: int | str
    data: bytes
    contains: str = ""
    """Text the answer must contain."""


SDP = (
    "v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n"
    "m=audio 49217 RTP/AVP 0 12\r\nm=video 3227 RTP/AVP 31\r\na=rtpmap:31 LPC\r\n"
)


def message(start: str, *lines: str, body: str | bytes = b"", length: int | None = None) -> bytes:
    """A message from its lines, with the right Content-Length unless ``length`` says otherwise; -1: none."""
    data = body if isinstance(body, bytes) else body.encode()
    tail = [] if length == -1 else [f"Content-Length: {len(data) if length is None else length}"]
    return "\r\n".join([start, *lines, *tail, "", ""]).encode() + data


VIA = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw"
FROM = "From: <sip:caller@example.com>;tag=323"
TO = "To: <sip:user@example.com>"
FORWARDS = "Max-Forwards: 70"
CONTACT = "Contact: <sip:caller@host5.example.net>"
TYPE = "Content-Type: application/sdp"


def invite(*lines: str, uri: str = "sip:user@example.com", name: str = "x", body: str = SDP) -> bytes:
    head = (VIA, FORWARDS, f"Call-ID: {name}@192.0.2.1", "CSeq: 8 INVITE", CONTACT)
    return message(f"INVITE {uri} SIP/2.0", *head, *lines, *([TYPE] if body else []), body=body)


def options(*lines: str, start: str = "OPTIONS sip:user@example.com SIP/2.0", name: str = "x") -> bytes:
    return message(start, VIA, FORWARDS, f"Call-ID: {name}@192.0.2.1", "CSeq: 8 OPTIONS", *lines)


def register(*lines: str, uri: str = "sip:example.com", name: str = "x", to: str = TO) -> bytes:
    head = (VIA, FORWARDS, FROM, to, f"Call-ID: {name}@192.0.2.1", "CSeq: 8 REGISTER")
    return message(f"REGISTER {uri} SIP/2.0", *head, *lines)


WSINV = (
    "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n"
    "TO :\r\n sip:vivekg@chair-dnrc.example.com {tag}\r\n"
    'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
    "MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 150\r\n"
    "cseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\ns :\r\n"
    "NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
    "UnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\n"
    "Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
    "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    " SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
    'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n'
    "  secondparam ; q = 0.33\r\n\r\n"
    "v=0\r\no=mhandley 29739 7272939 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.4\r\nt=0 0\r\n"
    "m=audio 49217 RTP/AVP 0 12\r\nm=video 3227 RTP/AVP 31\r\na=rtpmap:31 LPC\r\n"
)

ODD_URI = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com"
ODD_METHOD = "!interesting-Method0123456789_*+`.%indeed'~"
INTMETH = message(
    f"{ODD_METHOD} {ODD_URI} SIP/2.0",
    "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~",
    'To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:1_unusual.URI~(to-be!sure)&isn\'t+it$/crazy?,/;;*@example.com>',
    "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>"
    ";fromParam''~+*_!.-%=\"\u0440\u0430\u0431\u043e\u0442\u0430\u044e\u0449\u0438\u0439\";tag=_token~1'+`*%!-.",
    "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
    f"CSeq: 139122385 {ODD_METHOD}",
    "Max-Forwards: 255",
    "extensionHeader-!.%*+_`'~:\ufeff\u5927\u505c\u96fb",
)

LONG = "a" * 300
LONGREQ = message(
    "INVITE sip:user@example.com SIP/2.0",
    f'To: "I have a user name of extreme proportion {LONG}"<sip:user@example.com:6000;unknownparam1=very{LONG}>',
    f"F: sip:amazinglylongcallername{LONG}@example.net;tag=12{'9' * 50};unknownheaderparam{LONG}=value;unknownflag",
    f"Call-ID: longreq.one{'really' * 40}longcallid",
    "CSeq: 3882340 INVITE",
    f"Unknown-{'Long' * 60}-Name: unknown-{'long' * 60}-value",
    "Via: SIP/2.0/TCP sip33.example.com",
    *[f"v: SIP/2.0/TCP sip{index}.example.com" for index in range(32, 20, -1)],
    f"V: SIP/2.0/UDP host1.example.com;unknownparam={LONG};branch=very{LONG}branchvalue",
    "Max-Forwards: 70",
    f"Contact: <sip:amazinglylongcallername{LONG}@host5.example.net>",
    TYPE,
    body=SDP,
)
DBLREQ = register("Contact: <sip:j.user@host.example.com>", name="dblreq") + invite(TO, FROM, name="dblreq2")
BINARY = bytes(range(256)) * 2

RFC4475 = [
    # --- 3.1.1 valid messages -----------------------------------------------------------------------------------
    Case("wsinv", "3.1.1.1 To carries a tag of no dialog of ours", 481, WSINV.format(tag=";   tag    = 19").encode()),
    Case("wsinv-new", "3.1.1.1 without the To tag", "call", WSINV.format(tag="").encode()),
    Case("intmeth", "3.1.1.2 unknown method of odd tokens", 501, INTMETH, "Allow: INVITE"),
    Case(
        "esc01",
        "3.1.1.3 escapes are not a SIPS URI",
        "call",
        invite(
            "To: sip:%75se%72@example.com",
            "From: <sip:I%20have%20spaces@example.net>;tag=938",
            uri="sip:sips%3Auser%40example.com@example.net",
            name="esc01",
        ),
    ),
    Case(
        "escnull",
        "3.1.1.4 escaped nulls",
        200,
        register(
            "Contact: <sip:%00@host5.example.com>",
            "Contact: <sip:%00%00@host5.example.com>",
            name="escnull",
            to="To: sip:null-%00-null@example.com",
        ),
    ),
    Case(
        "esc02",
        "3.1.1.5 a method is not unescaped",
        501,
        message(
            "RE%47IST%45R sip:registrar.example.com SIP/2.0",
            'To: "%Z%45" <sip:resource@example.com>',
            'From: "%Z%45" <sip:resource@example.com>;tag=f232jadfj23',
            "Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf",
            VIA,
            "CSeq: 29344 RE%47IST%45R",
            FORWARDS,
            "Contact: <sip:alias1@host1.example.com>",
        ),
    ),
    Case("lwsdisp", "3.1.1.6", 200, options(TO, "From: caller<sip:caller@example.com>;tag=323", name="lwsdisp")),
    Case("longreq", "3.1.1.7", "call", LONGREQ),
    Case("dblreq", "3.1.1.8 what follows the body is ignored", 200, DBLREQ, "CSeq: 8 REGISTER"),
    Case(
        "semiuri",
        "3.1.1.9",
        200,
        options(
            "To: sip:j_user@example.com",
            "From: sip:caller@example.org;tag=33242",
            start="OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0",
            name="semiuri",
        ),
    ),
    Case(
        "transports",
        "3.1.1.10 unknown transports in Via",
        200,
        options(
            TO,
            "From: <sip:caller@example.com>;tag=323",
            "Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf",
            "Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj",
            "Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en",
            "Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee",
            name="transports",
        ),
        "SIP/2.0/UNKNOWN t4.example.com",
    ),
    Case(
        "mpart01",
        "3.1.1.11 binary multipart",
        202,
        message(
            "MESSAGE sip:kumiko@example.org SIP/2.0",
            "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport",
            FORWARDS,
            "From: <sip:fluffy@example.com>;tag=2fb0dcc9",
            "To: <sip:kumiko@example.org>",
            "Call-ID: mpart01.3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..",
            "CSeq: 1 MESSAGE",
            "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655",
            body=b"--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9cbec02ceef655\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n" + BINARY + b"\r\n--7a9cbec02ceef655--",
        ),
    ),
    Case(
        "unreason",
        "3.1.1.12 reason phrase in UTF-8",
        "stray",
        message(
            "SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e \u0441\u0442\u043e",
            "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923",
            "Call-ID: unreason.1234ksdfak3j2erwedfsASdf",
            "CSeq: 35 INVITE",
            "From: sip:user@example.com;tag=11141343",
            "To: sip:user@example.edu;tag=2229",
            "Contact: <sip:user@host198.example.com>",
        ),
    ),
    Case(
        "noreason",
        "3.1.1.13 empty reason phrase",
        "stray",
        message(
            "SIP/2.0 100 ",
            "Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe",
            "Call-ID: noreason.asndj203insdf99223ndf",
            "CSeq: 35 INVITE",
            "From: <sip:user@example.com>;tag=39ansfi3",
            "To: <sip:user@example.edu>;tag=902jndnke3",
        ),
    ),
    # --- 3.1.2 invalid messages ---------------------------------------------------------------------------------
    Case(
        "badinv01",
        "3.1.2.1 stray separators",
        400,
        message(
            "INVITE sip:user@example.com SIP/2.0",
            'To: "Joe" <sip:j.user@example.com>',
            'From: "Caller" <sip:caller@example.net>;;;;',
            "Max-Forwards: 7",
            "Call-ID: badinv01.0ha0isndaksdjasdf3234nas",
            "CSeq: 8 INVITE",
            "Via: SIP/2.0/UDP 192.0.2.15;;,;,,",
            'Contact: "Joe" <sip:joe@example.org>;;;;',
            TYPE,
            body=SDP,
        ),
    ),
    Case(
        "clerr",
        "3.1.2.2 Content-Length beyond the datagram",
        400,
        message(
            "INVITE sip:user@example.com SIP/2.0",
            VIA,
            FORWARDS,
            FROM,
            TO,
            "Call-ID: clerr@192.0.2.1",
            "CSeq: 8 INVITE",
            CONTACT,
            TYPE,
            body=SDP,
            length=9999,
        ),
    ),
    Case(
        "ncl",
        "3.1.2.3 negative Content-Length",
        400,
        message(
            "INVITE sip:user@example.com SIP/2.0",
            VIA,
            FORWARDS,
            FROM,
            TO,
            "Call-ID: ncl@192.0.2.1",
            "CSeq: 8 INVITE",
            CONTACT,
            TYPE,
            body=SDP,
            length=-999,
        ),
    ),
    Case(
        "scalar02",
        "3.1.2.4 numbers out of range in a request",
        400,
        message(
            "REGISTER sip:example.com SIP/2.0",
            "Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bK342sdfoi3",
            "To: <sip:user@example.com>",
            "From: <sip:user@example.com>;tag=239232jh3",
            "CSeq: 36893488147419103232 REGISTER",
            "Call-ID: scalar02.23o0pd9vanlq3wnrlnewofjas9ui32",
            "Max-Forwards: 300",
            "Expires: 1" + "0" * 100,
            "Contact: <sip:user@host129.example.com>;expires=280297596632815",
        ),
    ),
    Case(
        "scalarlg",
        "3.1.2.5 numbers out of range in a response",
        "dropped",
        message(
            "SIP/2.0 503 Service Unavailable",
            "Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.129",
            "To: <sip:user@example.com>",
            "From: <sip:other@example.net>;tag=2easdjfejw",
            "CSeq: 9292394834772304023312 OPTIONS",
            "Call-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r",
            "Retry-After: 949302838503028349304023988",
            'Warning: 1812 overture "In Progress"',
        ),
    ),
    Case(
        "quotbal",
        "3.1.2.6 unbalanced quote",
        400,
        invite('To: "Mr. J. User <sip:j.user@example.com>', FROM, name="quotbal"),
    ),
    Case("ltgtruri", "3.1.2.7", 400, invite(TO, FROM, uri="<sip:user@example.com>", name="ltgtruri")),
    Case("lwsruri", "3.1.2.8", 400, invite(TO, FROM, uri="sip:user@example.com; lr", name="lwsruri")),
    Case("lwsstart", "3.1.2.9", 400, invite(TO, FROM, uri=" sip:user@example.com ", name="lwsstart")),
    Case("trws", "3.1.2.10", 400, options(TO, FROM, start="OPTIONS sip:user@example.com SIP/2.0  ", name="trws")),
    Case(
        "escruri",
        "3.1.2.11 headers in the Request-URI",
        400,
        invite(TO, FROM, uri="sip:user@example.com?Route=%3Csip:example.com%3E", name="escruri"),
    ),
    Case(
        "baddate",
        "3.1.2.12 a date not in GMT is not worth refusing a call for",
        "call",
        invite(TO, FROM, "Date: Fri, 01 Jan 2010 16:00:00 EST", name="baddate"),
    ),
    Case(
        "regbadct",
        "3.1.2.13 Contact without angle brackets",
        400,
        register("Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E", name="regbadct"),
    ),
    Case(
        "badaspec",
        "3.1.2.14 spaces within addr-spec",
        400,
        options('To: "Watson, Thomas" < sip:t.watson@example.org >', FROM, name="badaspec"),
    ),
    Case(
        "baddn",
        "3.1.2.15 tokens that need quotes; may be let pass, and is",
        200,
        options(TO, "From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43", name="baddn"),
    ),
    Case(
        "badvers",
        "3.1.2.16",
        505,
        message(
            "OPTIONS sip:t.watson@example.org SIP/7.0",
            "Via: SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw",
            "Max-Forwards: 70",
            "From: A. Bell <sip:a.g.bell@example.com>;tag=qweoiqpe",
            "To: T. Watson <sip:t.watson@example.org>",
            "Call-ID: badvers.31417@c.example.com",
            "CSeq: 1 OPTIONS",
        ),
    ),
    Case(
        "mismatch01",
        "3.1.2.17",
        400,
        message(
            "OPTIONS sip:user@example.com SIP/2.0", VIA, FORWARDS, FROM, TO, "Call-ID: mismatch01@x", "CSeq: 8 INVITE"
        ),
    ),
    Case(
        "mismatch02",
        "3.1.2.18",
        400,
        message(
            "NEWMETHOD sip:user@example.com SIP/2.0", VIA, FORWARDS, FROM, TO, "Call-ID: mismatch02@x", "CSeq: 8 INVITE"
        ),
    ),
    Case(
        "bigcode",
        "3.1.2.19",
        "dropped",
        message("SIP/2.0 4294967301 better not break the receiver", VIA, FROM, TO, "Call-ID: b@x", "CSeq: 35 INVITE"),
    ),
    # --- 3.2 transaction layer ----------------------------------------------------------------------------------
    Case(
        "badbranch",
        "3.2.1 the magic cookie alone is no branch",
        200,
        message(
            "OPTIONS sip:user@example.com SIP/2.0",
            "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK",
            FORWARDS,
            FROM,
            TO,
            "Call-ID: badbranch.sadonfo23i420jv0as0derf3j3n",
            "CSeq: 8 OPTIONS",
        ),
    ),
    # --- 3.3 application layer ----------------------------------------------------------------------------------
    Case(
        "insuf",
        "3.3.1 no Call-ID, From or To",
        400,
        message(
            "INVITE sip:user@example.com SIP/2.0",
            "CSeq: 193942 INVITE",
            "Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf",
            TYPE,
            body=SDP,
        ),
    ),
    Case(
        "unkscm",
        "3.3.2",
        416,
        options(TO, FROM, start="OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", name="unkscm"),
    ),
    Case("novelsc", "3.3.3", 416, options(TO, FROM, start="OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", name="n")),
    Case(
        "unksm2",
        "3.3.4 unknown schemes in From, To and Contact: nobody we could register",
        400,
        message(
            "REGISTER sip:example.com SIP/2.0",
            "To: isbn:2983792873",
            "From: <http://www.example.com>;tag=3234233",
            "Call-ID: unksm2.daksdj@hyphenated-host.example.com",
            "CSeq: 234902 REGISTER",
            FORWARDS,
            VIA,
            "Contact: <name:John_Smith>",
        ),
    ),
    Case(
        "bext01",
        "3.3.5",
        420,
        options(
            TO,
            FROM,
            "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis",
            "Require: nothingSupportsThis, nothingSupportsThisEither",
            name="bext01",
        ),
        "Unsupported: nothingsupportsthis, nothingsupportsthiseither",
    ),
    Case(
        "invut",
        "3.3.6",
        415,
        message(
            "INVITE sip:user@example.com SIP/2.0",
            VIA,
            FORWARDS,
            FROM,
            TO,
            "Call-ID: invut@x",
            "CSeq: 8 INVITE",
            CONTACT,
            "Content-Type: application/unknownformat",
            body="<audio>\r\n <pcmu port='443'/>\r\n</audio>\r\n",
        ),
        "Accept: application/sdp",
    ),
    Case(
        "regaut01",
        "3.3.7 the scheme is for the authenticator; here everybody is trusted",
        200,
        register("Authorization: NoOneKnowsThisScheme opaque-data=here", name="regaut01"),
    ),
    Case(
        "multi01",
        "3.3.8 single values given twice",
        400,
        message(
            "INVITE sip:user@company.com SIP/2.0",
            "Contact: <sip:caller@host25.example.net>",
            "Via: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKkdjuw",
            "Max-Forwards: 70",
            "CSeq: 5 INVITE",
            "Call-ID: multi01.98asdh@192.0.2.1",
            "CSeq: 59 INVITE",
            "Call-ID: multi01.98asdh@192.0.2.2",
            "From: sip:caller@example.com;tag=3413415",
            "To: sip:user@example.com",
            "To: sip:other@example.net",
            "From: sip:caller@example.net;tag=2923420123",
            TYPE,
            body=SDP,
        ),
    ),
    Case("mcl01", "3.3.9", 400, options(TO, FROM, "Content-Length: 13", name="mcl01")),
    Case(
        "bcast",
        "3.3.10 a response that is not for us",
        "stray",
        message(
            "SIP/2.0 200 OK",
            "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923",
            "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23",
            "Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf",
            "CSeq: 35 INVITE",
            "From: sip:user@example.com;tag=11141343",
            "To: sip:user@example.edu;tag=2229",
            "Contact: <sip:user@host198.example.com>",
        ),
    ),
    Case(
        "zeromf",
        "3.3.11 Max-Forwards 0 has arrived where it was going",
        200,
        message(
            "OPTIONS sip:user@example.com SIP/2.0",
            VIA,
            "Max-Forwards: 0",
            FROM,
            TO,
            "Call-ID: zeromf@x",
            "CSeq: 8 OPTIONS",
        ),
    ),
    Case(
        "cparam01",
        "3.3.12 unknown Contact header parameter",
        200,
        register("Contact: sip:+19725552222@gw1.example.net;unknownparam", name="cparam01"),
    ),
    Case(
        "cparam02",
        "3.3.13 unknown Contact URI parameter",
        200,
        register("Contact: <sip:+19725552222@gw1.example.net;unknownparam>", name="cparam02"),
    ),
    Case(
        "regescrt",
        "3.3.14 escaped header within a Contact URI",
        200,
        register("Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>", name="regescrt"),
    ),
    Case(
        "sdp01",
        "3.3.15 an answer in no body type we speak",
        406,
        invite(TO, FROM, "Accept: text/nobodyKnowsThis", name="sdp01", body=""),
    ),
    # --- 3.4 backward compatibility -----------------------------------------------------------------------------
    Case(
        "inv2543",
        "3.4.1 RFC 2543: no branch, no tags, no Max-Forwards",
        "call",
        message(
            "INVITE sip:UserB@example.com SIP/2.0",
            "Via: SIP/2.0/UDP iftgw.example.com",
            "From: <sip:+13035551111@ift.client.example.net;user=phone>",
            "Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>",
            "To: sip:+16505552222@ss1.example.net;user=phone",
            "Call-ID: inv2543.1717@ift.client.example.com",
            "CSeq: 56 INVITE",
            TYPE,
            body=SDP,
        ),
    ),
]


def via6(host: str, extra: str = "") -> str:
    return f"Via: SIP/2.0/UDP {host};branch=z9hG4bKas3-111{extra}"


def register6(uri: str, *vias: str, contact: str = "<sip:caller@[2001:db8::1]>", name: str = "six") -> bytes:
    return message(
        f"REGISTER {uri} SIP/2.0",
        "To: <sip:user@example.com>",
        "From: <sip:user@example.com>;tag=81x2",
        *(vias or (via6("[2001:db8::9:1]"),)),
        f"Call-ID: {name}@[2001:db8::9:1]",
        "Max-Forwards: 70",
        f"Contact: {contact}",
        "CSeq: 98176 REGISTER",
    )


RFC5118 = [
    Case("ipv6-good", "4.1", 200, register6("sip:[2001:db8::10]")),
    Case("ipv6-bad", "4.2 no brackets", 400, register6("sip:2001:db8::10")),
    Case("port-ambiguous", "4.3 the port is part of the address", 200, register6("sip:[2001:db8::10:5070]")),
    Case("port-unambiguous", "4.4", 200, register6("sip:[2001:db8::10]:5070")),
    Case(
        "received-with-delim",
        "4.5 received in brackets",
        200,
        register6("sip:[2001:db8::10]", via6("[2001:db8::9:1]", ";received=[2001:db8::9:255]")),
    ),
    Case(
        "received-without-delim",
        "4.5 received without brackets",
        200,
        register6("sip:[2001:db8::10]", via6("[2001:db8::9:1]", ";received=2001:db8::9:255")),
    ),
    Case(
        "sdp-ipv6",
        "4.6 and 4.7 IPv6 in SDP",
        "call",
        message(
            "INVITE sip:user@[2001:db8::10] SIP/2.0",
            "To: sip:user@[2001:db8::10]",
            "From: sip:user@example.com;tag=81x2",
            via6("[2001:db8::20]"),
            'Call-ID: "v6sdp"@[2001:db8::20]',
            'Contact: "Caller" <sip:caller@[2001:db8::20]>',
            "CSeq: 8612 INVITE",
            "Max-Forwards: 70",
            TYPE,
            body="v=0\r\no=assistant 971731711378798081 0 IN IP6 2001:db8::20\r\ns=-\r\nc=IN IP6 2001:db8::20\r\n"
            "t=3338481189 3370017201\r\nm=audio 6000 RTP/AVP 2\r\na=rtpmap:2 G726-32/8000\r\n",
        ),
    ),
    Case(
        "mult-ip-in-header",
        "4.8 both families in Via",
        200,
        register6(
            "sip:example.com",
            via6("[2001:db8::9:1]:6050", ";received=[2001:db8::9:255]"),
            "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKbh19",
            "Via: SIP/2.0/UDP [2001:db8::9:2];branch=z9hG4bKas3",
        ),
        "192.0.2.1;branch=z9hG4bKbh19",
    ),
    Case(
        "mult-ip-in-sdp",
        "4.9 both families in SDP",
        "call",
        invite(
            TO,
            FROM,
            name="mult-ip-in-sdp",
            body="v=0\r\no=bob 280744730 28977631 IN IP4 host.example.com\r\ns=\r\nt=0 0\r\n"
            "m=audio 22334 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\nm=video 6024 RTP/AVP 107\r\nc=IN IP6 2001:db8::1\r\n"
            "a=rtpmap:107 H263-1998/90000\r\n",
        ),
    ),
    Case("ipv4-mapped", "4.10", 200, register6("sip:example.com", contact="<sip:user@[::ffff:192.0.2.10]:19823>")),
    Case(
        "ipv6-three-colons",
        "4.10 the third colon of an old ABNF is tolerated where we only have to remember it",
        200,
        register6("sip:user@example.com", contact="<sip:user@[2001:db8:::192.0.2.1]>"),
    ),
]
