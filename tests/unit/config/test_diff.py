"""What is told about a reload."""

from pbx.config.diff import compare
from pbx.config.model import Configuration


def build(**sections: object) -> Configuration:
    return Configuration.model_validate(sections)


OLD = build(
    queues={"a": {"max_wait": "60"}, "b": {}},
    extensions={"1001": {"name": "A", "ha1": {"md5": "0" * 32}}},
    users={"u": {"role": "quality", "password_hash": "$argon2id$old"}},
    routes={
        "inbound": [{"did": "1", "to": "queue:a"}, {"did": "2", "to": "queue:b"}],
        "outbound": [{"name": "x", "match": "0.", "trunks": ["t"]}, {"name": "y", "match": "1.", "trunks": ["t"]}],
    },
)
NEW = build(
    queues={"a": {"max_wait": "90", "recording": "10%"}, "c": {"title": "C"}},
    extensions={"1001": {"name": "A", "ha1": {"md5": "1" * 32}}},
    users={"u": {"role": "quality", "password_hash": "$argon2id$new"}},
    sip={"listeners": {"udp": {"transport": "udp", "port": "5070"}}},
    http={"port": "8081"},
    routes={
        "inbound": [{"did": "1", "to": "queue:c"}, {"did": "3", "to": "queue:a"}],
        "outbound": [{"name": "y", "match": "1.", "trunks": ["t"]}, {"name": "x", "match": "0.", "trunks": ["t"]}],
    },
)


def test_every_difference_once() -> None:
    assert [str(change) for change in compare(OLD, NEW)] == [
        "sip.listeners.udp.port: 5060 -> 5070",
        "sip.listeners.tcp: removed",
        "http.port: 8080 -> 8081 (after a restart)",
        "users.u.password_hash: (secret) -> (secret)",
        "extensions.1001.ha1: (secret) -> (secret)",
        "queues.a.max_wait: 60 -> 90",
        "queues.a.recording: (none) -> {mode: percentage, percent: 10}",
        "queues.b: removed",
        "queues.c: added",
        "routes.inbound[1].to: queue:a -> queue:c",
        "routes.inbound[2]: removed",
        "routes.inbound[3]: added",
        "routes.outbound: order x, y -> order y, x",
    ]


def test_nothing_changed() -> None:
    assert compare(OLD, OLD) == ()


def test_secrets_stay_secret() -> None:
    shown = repr(compare(OLD, NEW))
    assert "argon2" not in shown and "0" * 32 not in shown and "1" * 32 not in shown
