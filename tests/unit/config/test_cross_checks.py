# ruff: noqa: E501
"""What no single value shows: references, numbers that clash, routes out of reach, ports and files."""

from pathlib import Path

import pytest

from pbx.core.problems import Problem
from tests.unit.config.conftest import Examine

EXTENSIONS = """\
extensions:
  1001: {name: A, voicemail: yes}
  1002: {name: B}
"""
TRUNKS = "trunks:\n  a: {host: 192.0.2.1}\n  b: {host: 192.0.2.2}\n"


def tell(problem: Problem) -> str:
    name = Path(problem.file).name
    return f"{name}:{problem.line}:{problem.column}: {problem.message} | {problem.hint}"


REFERENCES = [
    ("agents.yaml", "agents: {1: {name: X, extension: 1003}}",
     "agents.yaml:1:34: agents.1.extension: there is no extension '1003' | did you mean '1002'?"),
    ("agents.yaml", "agents: {1: {name: X, queues: [suport2]}}",
     "agents.yaml:1:32: agents.1.queues[0]: there is no queue 'suport2' | did you mean 'support'?"),
    ("agents.yaml", "agents: {1: {name: X, team: red}}", "agents.yaml:1:29: agents.1.team: there is no team 'red' | "),
    ("agents.yaml", "teams: {red: {supervisors: [anna]}}",
     "agents.yaml:1:29: teams.red.supervisors[0]: there is no agent or user 'anna' | "),
    ("routes.yaml", "inbound: [{did: 1, to: 'flow:mian'}]",
     "routes.yaml:1:24: inbound[0].to: there is no flow 'mian' | did you mean 'main'?"),
    ("routes.yaml", "inbound: [{did: 1, to: 'voicemail:1002'}]",
     "routes.yaml:1:24: inbound[0].to: extension 1002 has no voice mailbox | add 'voicemail: yes' to 1002"),
    ("routes.yaml", "inbound: [{did: 1, trunk: c, to: 'flow:main'}]",
     "routes.yaml:1:27: inbound[0].trunk: there is no trunk 'c' | there are: a, b"),
    ("routes.yaml", "inbound: [{did: 1, calendar: x, to: 'flow:main', closed: 'group:g'}]",
     "routes.yaml:1:30: inbound[0].calendar: there is no calendar 'x' | "),
    ("routes.yaml", "outbound: [{name: o, match: 0., trunks: [a, {trunk: d}]}]",
     "routes.yaml:1:53: outbound[0].trunks[1].trunk: there is no trunk 'd' | there are: a, b"),
    ("routes.yaml", "outbound: [{name: o, match: 0., trunks: [d]}]",
     "routes.yaml:1:42: outbound[0].trunks[0]: there is no trunk 'd' | there are: a, b"),
    ("routes.yaml", "emergency: [{number: 110, title: P, trunks: [z]}]",
     "routes.yaml:1:46: emergency[0].trunks[0]: there is no trunk 'z' | there are: a, b"),
    ("routes.yaml", "parking: {music: loud}", "routes.yaml:1:18: parking.music: there is no music class 'loud' | there are: default"),
    ("tandem.yaml", "users: {u: {role: supervisor, token: {generated: t}, teams: [red]}}",
     "tandem.yaml:1:62: users.u.teams[0]: there is no team 'red' | "),
    ("extensions.yaml", "extensions: {1001: {name: A, voicemail: yes, permissions: [abroad]}, 1002: {name: B}}",
     "extensions.yaml:1:60: extensions.1001.permissions[0]: there is no permission of an outbound route 'abroad' | "),
    ("extensions.yaml", EXTENSIONS + "ring_groups: {g: {members: [1001, 1009]}}",
     "extensions.yaml:4:35: ring_groups.g.members[1]: there is no extension '1009' | did you mean '1002'?"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "expected"), REFERENCES, ids=[text for _, text, _ in REFERENCES])
def test_reference(look: Examine, name: str, text: str, expected: str) -> None:
    files = {"extensions.yaml": EXTENSIONS, "trunks.yaml": TRUNKS, "queues.yaml": "queues: {support: {}}"}
    problems = [tell(problem) for problem in look(files | {name: text}).problems if problem.severity == "error"]
    assert expected in problems
    assert all("there is no ring group" in problem for problem in problems if problem != expected)


NUMBERS = [
    ("queues.yaml", "queues: {q: {number: 1001}}",
     "queues.yaml:1:22: the number 1001 of the queue 'q' is already that of extension 1001"),
    ("extensions.yaml", EXTENSIONS + "ring_groups: {g: {number: 1002, members: [1001]}}",
     "extensions.yaml:4:27: the number 1002 of the ring group 'g' is already that of extension 1002"),
    ("routes.yaml", "conferences: [{number: 1001}]",
     "routes.yaml:1:24: the number 1001 of a conference room is already that of extension 1001"),
    ("routes.yaml", "parking: {first: 1000, last: 1001}",
     "routes.yaml:1:1: the parking slot 1001 is already extension 1001"),
    ("routes.yaml", "features: {ready: '*32'}",
     "routes.yaml:1:19: the number *32 of the feature code 'ready' is already that of the feature code 'logout'"),
    ("routes.yaml", "features: {not_ready: '*4'}",
     "routes.yaml:1:23: the feature code *4 of 'not_ready' with an argument could also be *44 of 'clock'"),
    ("agents.yaml", "not_ready_reasons: {a: {title: A, digit: 1}, b: {title: B, digit: 1}}",
     "agents.yaml:1:67: the digit 1 of 'b' is already that of 'a'"),
    ("routes.yaml", "inbound: [{did: 1, to: 'flow:main'}, {did: 1, to: 'queue:q'}]",
     "routes.yaml:1:44: inbound[1].did: 1 overlaps 1 of {}:1"),
    ("routes.yaml", "inbound: [{did: '+8610[0-5]X', to: 'flow:main'}, {did: '+8610[5-9]X', to: 'flow:main'}]",
     "routes.yaml:1:56: inbound[1].did: +8610[5-9]X overlaps +8610[0-5]X of {}:1"),
    ("routes.yaml", "outbound: [{name: a, match: 0., trunks: [a]}, {name: b, match: [00., 01X.], trunks: [b]}]",
     "routes.yaml:1:57: the outbound route 'b' is never reached: 'a' takes all its numbers"),
    ("routes.yaml", "outbound: [{name: a, match: 0., trunks: [a]}, {name: a, match: 1., trunks: [b]}]",
     "routes.yaml:1:54: there are two outbound routes 'a'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "expected"), NUMBERS, ids=[text for _, text, _ in NUMBERS])
def test_numbers(look: Examine, folder: Path, name: str, text: str, expected: str) -> None:
    files = {"extensions.yaml": EXTENSIONS, "trunks.yaml": TRUNKS, "queues.yaml": "queues: {q: {}}"} | {name: text}
    problems = [problem for problem in look(files).problems if problem.severity == "error"]
    assert [tell(problem).partition(" | ")[0] for problem in problems] == [expected.replace("{}", str(folder / name))]


FINE = [
    "inbound: [{did: 1, to: 'flow:main'}, {did: 1, trunk: a, to: 'queue:q'}]",
    "inbound: [{did: 1, trunk: b, to: 'flow:main'}, {did: 1, trunk: a, to: 'queue:q'}]",
    "inbound: [{did: 1, to: 'flow:main'}, {did: 1, caller: 139., to: 'queue:q'}]",
    "inbound: [{did: '+8610XX', to: 'flow:main'}, {did: '+861055', to: 'queue:q'}]",
    "inbound: [{did: '+8610XX', to: 'flow:main'}, {did: '+8610[5-9]X.', to: 'queue:q'}]",
    "outbound: [{name: a, match: 00., trunks: [a]}, {name: b, match: 0., trunks: [b]}]",
    "outbound: [{name: a, match: 0., trunks: [a], permission: x}, {name: b, match: 0., trunks: [b]}]",
]


@pytest.mark.parametrize("text", FINE)
def test_exceptions_to_a_general_route_are_fine(look: Examine, text: str) -> None:
    examined = look({"trunks.yaml": TRUNKS, "queues.yaml": "queues: {q: {}}", "routes.yaml": text})
    assert examined.problems == ()
    assert examined.configuration is not None


ENVIRONMENT = [
    ("tandem.yaml", "music: {loud: {folder: nowhere}}", "music.loud.folder: there is no folder {}/nowhere"),
    ("tandem.yaml", "music: {loud: {folder: .}}", "music.loud.folder: no audio in {}"),
    ("tandem.yaml", "prompts: {folders: [spoken]}", "prompts.folders[0]: there is no folder {}/spoken"),
    ("tandem.yaml", "flows: gone", "there is no folder of flows {}/gone"),
    ("tandem.yaml", "http: {certificate: c.pem, key: k.pem}", "http.certificate: there is no file {}/c.pem"),
    ("tandem.yaml", "sip: {listeners: {a: {transport: udp}, b: {transport: udp, address: 127.0.0.1}}}",
     "the listener 'b' and the listener 'a' both want udp port 5060"),
    ("tandem.yaml", "sip: {listeners: {a: {transport: ws, port: 8080}}}",
     "HTTP and the listener 'a' both want tcp port 8080"),
    ("tandem.yaml", "sip: {listeners: {a: {transport: udp, port: 15060}}}",
     "the listener 'a' stands on port 15060, amid the RTP ports"),
    ("tandem.yaml", "gateways: {a: {}, b: {}}", "the gateways 'b' and 'a' share RTP ports"),
    ("queues.yaml", "queues: {q: {greeting: hello.wav}}", "queues.q.greeting: there is no prompt 'hello.wav'"),
    ("trunks.yaml", "trunks: {a: {host: h, auth: {username: u, secret: {file: gone}}}}",
     "trunks.a.auth.secret: {}/gone cannot be read: No such file or directory"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), ENVIRONMENT, ids=[text for _, text, _ in ENVIRONMENT])
def test_environment(look: Examine, folder: Path, name: str, text: str, message: str) -> None:
    problems = look({name: text}).problems
    assert message.replace("{}", str(folder)) in [
        problem.message for problem in problems if problem.severity == "error"
    ]


def test_a_disabled_trunk_needs_no_secret(look: Examine, folder: Path) -> None:
    text = "trunks: {a: {enabled: %s, host: h, auth: {username: u, secret: {file: gone}}}}"
    assert look({"trunks.yaml": text % "no"}).configuration is not None
    assert look({"trunks.yaml": text % "yes"}).configuration is None


def test_warnings_do_not_stop_it(look: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TANDEM_TEST_SECRET", raising=False)
    examined = look(
        {
            "queues.yaml": "queues: {q: {skills: {fluter: 3}}}",
            "agents.yaml": "agents: {1: {name: X, skills: [flute]}}",
            "tandem.yaml": "users: {u: {role: quality, token: {env: TANDEM_TEST_SECRET}}}",
        }
    )
    assert [(problem.severity, problem.message, problem.hint) for problem in examined.problems] == [
        ("warning", "no agent serves the queue 'q'", "add 'q' to the queues of an agent"),
        ("warning", "no agent has the skill 'fluter' that the queue 'q' requires", "did you mean 'flute'?"),
        (
            "warning",
            "users.u.token: the environment variable TANDEM_TEST_SECRET is not set here",
            "the server will not start without it",
        ),
    ]
    assert examined.configuration is not None


def test_files_of_one_kind_grow_together(look: Examine) -> None:
    examined = look(
        {
            "extensions-a.yaml": "extensions: {1001: {name: A}}",
            "extensions-b.yaml": "extensions: {1002: {name: B}}",
            "routes.yaml": "inbound: [{did: 1, to: 'flow:main'}]",
            "routes-b.yaml": "inbound: [{did: 2, to: 'flow:main'}]",
        }
    )
    assert examined.configuration is not None
    assert list(examined.configuration.extensions) == ["1001", "1002"]
    assert [route.did.text for route in examined.configuration.routes.inbound] == ["2", "1"]
    again = look({"extensions-b.yaml": "extensions: {1001: {name: B}}"})
    assert [problem.message for problem in again.problems] == ["'1001' is given in two files"]
