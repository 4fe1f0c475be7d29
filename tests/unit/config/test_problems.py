# ruff: noqa: E501
"""Wrong files, and exactly what is said about each: place, message, what was expected, hint."""

from pathlib import Path

import pytest

from pbx.core.problems import Problem
from tests.unit.config.conftest import Examine

HOURS = "times such as 09:00-18:00, several with commas, 22:00-06:00 over midnight, or closed"
DURATION = "a duration such as 30 (seconds), 20s, 5m, 1h30m, 7d or 500ms"
PATTERN = "digits, + at the start, *, #, X, Z, N, [2-4], and . or ! at the end, or /a regular expression/"
SECRET = "{env: NAME}, {file: PATH} or {generated: NAME}"

SYNTAX = [
    (
        "a: b: c\n",
        "queues.yaml:1:5: this is not YAML: mapping values are not allowed here | a YAML 1.2 document"
        " | quote the text if it holds ': ', or look at the indentation",
    ),
    (
        "queues:\n\tsupport: {}\n",
        "queues.yaml:2:1: this is not YAML: found character '\\t' that cannot start any token while scanning for the next"
        " token | a YAML 1.2 document | indent with spaces, not with tabs",
    ),
    (
        "queues: {a: {}, a: {}}\n",
        "queues.yaml:1:17: the key 'a' is given twice | each key once | first given on line 1",
    ),
    ("queues: !!python/object:os.system {}\n", "queues.yaml:1:9: the tag 'tag:yaml.org,2002:python/object:os.system'"
     " means nothing here | a value without a tag | "),
    ("queues:\n  ? [a]\n  : {}\n", "queues.yaml:2:5: a list or mapping cannot be a key | a word or number as key | "),
    ("- 1\n", "queues.yaml:1:1: the file holds no mapping | a mapping with queues | "),
    ("queue: {}\n", "queues.yaml:1:1: unknown key 'queue' in this file |  | did you mean 'queues'?"),
    ("trunks: {}\n", "queues.yaml:1:1: unknown key 'trunks' in this file |  | 'trunks' belongs into trunks.yaml"),
    ("queues: &a [*a]\n", "queues.yaml:1:9: the file unfolds to too much | at most 1000000 values, 50 deep | "),
]  # fmt: skip

VALUES = [
    ("queues.yaml", "queues: [a]", ["queues.yaml:1:1: queues is a list | a mapping, one 'key: value' a line | "]),
    ("queues.yaml", "queues: {a: 1}", ["queues.yaml:1:13: queues.a is '1' | a mapping, one 'key: value' a line | "]),
    ("queues.yaml", "queues: {a b: {}}", ["queues.yaml:1:10: the key 'a b' of queues is not allowed"
     " | a name of letters, digits, '_', '-' and '.', at most 64 | "]),
    ("queues.yaml", "queues: {a: {name: b}}", ["queues.yaml:1:20: queues.a.name: 'name' of 'a' is already said"
     " | the key under which the item stands, and nothing else | remove this line"]),
    ("queues.yaml", "queues: {a: {max_lenght: 3}}", ["queues.yaml:1:14: unknown key 'max_lenght' in queues.a"
     " |  | did you mean 'max_length'?"]),
    ("queues.yaml", "queues: {a: {max_length: many}}", ["queues.yaml:1:26: queues.a.max_length is 'many' | a whole number | "]),
    ("queues.yaml", "queues: {a: {max_length: -1}}", ["queues.yaml:1:26: queues.a.max_length is '-1' | at least 0 | "]),
    ("queues.yaml", "queues: {a: {weight: 0}}", ["queues.yaml:1:22: queues.a.weight is '0' | more than 0 | "]),
    ("queues.yaml", "queues: {a: {ringback: maybe}}", ["queues.yaml:1:24: queues.a.ringback is 'maybe' | yes or no | "]),
    ("queues.yaml", "queues: {a: {max_wait: soon}}",
     [f"queues.yaml:1:24: queues.a.max_wait is 'soon': this is no duration | {DURATION} | "]),
    ("queues.yaml", "queues: {a: {ring_timeout: 1s}}", ["queues.yaml:1:28: queues.a.ring_timeout is '1s' | at least 2 | "]),
    ("queues.yaml", "queues: {a: {strategy: longest_idel}}", ["queues.yaml:1:24: queues.a.strategy is 'longest_idel'"
     " | longest_idle, round_robin, least_calls, ring_all or skill_level | did you mean 'longest_idle'?"]),
    ("queues.yaml", "queues: {a: {skills: {x: 11}}}", ["queues.yaml:1:26: queues.a.skills.x is '11' | at most 10 | "]),
    ("queues.yaml", "queues: {a: {recording: often}}", ["queues.yaml:1:25: queues.a.recording: 'often' is no recording policy"
     " | all, none, on_demand, a percentage such as 10%, or a mapping | "]),
    ("queues.yaml", "queues: {a: {recording: 101%}}", ["queues.yaml:1:25: queues.a.recording is '101%' | at most 100 | "]),
    ("queues.yaml", "queues: {a: {recording: {mode: percentage}}}", ["queues.yaml:1:14: percent: belongs to mode: percentage,"
     " and that needs it | mode: percentage with percent: 0-100 | "]),
    ("queues.yaml", "queues: {a: {keys: {X: 'hangup:busy'}}}", ["queues.yaml:1:21: the key 'X' of queues.a.keys is not allowed"
     " | one key: 0-9, * or # | "]),
    ("queues.yaml", "queues: {a: {overflow: {max_wait: 12}}}", ["queues.yaml:1:35: queues.a.overflow.max_wait: '12' is no destination"
     " | one of flow, queue, extension, agent, group, voicemail, conference, number, hangup, park, a colon and a name | "]),
    ("queues.yaml", "queues: {a: {overflow: {closed: 'hangup:bussy'}}}",
     ["queues.yaml:1:33: queues.a.overflow.closed: 'bussy' is no hangup cause | normal, busy, no_answer, rejected, forbidden,"
      " unknown_number, congestion, unavailable, out_of_order | "]),
    ("queues.yaml", "queues: {a: {widening: [{after: 60}, {after: 30}]}}",
     ["queues.yaml:1:10: the widening steps of the queue 'a' are out of order | `after` growing from step to step | "]),
    ("queues.yaml", "queues: {a: {greeting: {en: ''}}}", ["queues.yaml:1:14: this prompt says nothing"
     " | a file name, or texts by language such as {en: Hello, zh: 您好} | "]),
    ("extensions.yaml", "extensions: {1001: {}}", ["extensions.yaml:1:14: extensions.1001 lacks 'name' | the key 'name' | "]),
    ("extensions.yaml", "extensions: {1001: }", ["extensions.yaml:1:14: extensions.1001 lacks 'name' | the key 'name' | "]),
    ("extensions.yaml", "extensions: {1001: {name: }}", ["extensions.yaml:1:21: extensions.1001.name is empty | text | "]),
    ("extensions.yaml", "extensions: {10x1: {name: A}}", ["extensions.yaml:1:14: the key '10x1' of extensions is not allowed"
     " | 1 to 12 digits | "]),
    ("extensions.yaml", "extensions: {1001: {name: A, secret: hunter2}}",
     [f"extensions.yaml:1:38: a secret stands here in plain text | {SECRET}"
      " | whoever has read this file knows it now: choose a new one"]),
    ("extensions.yaml", "extensions: {1001: {name: A, secret: {env: A, file: b}}}",
     ["extensions.yaml:1:30: a secret needs exactly one source | one of env: NAME, file: PATH, generated: NAME | "]),
    ("extensions.yaml", "extensions: {1001: {name: A, ha1: {md5: s3cret}}}",
     ["extensions.yaml:1:41: extensions.1001.ha1.md5 is not right | 32 hexadecimal digits | "]),
    ("extensions.yaml", "extensions: {1001: {name: A, networks: [192.0.2.1/24]}}",
     ["extensions.yaml:1:41: extensions.1001.networks[0] is '192.0.2.1/24': this is no network"
      " | an address, or a network such as 192.0.2.0/24 | 192.0.2.1/24 names one host"]),
    ("trunks.yaml", "trunks: {a: {}}", ["trunks.yaml:1:10: the trunk 'a' has no way in or out"
     " | host:, networks:, registration: or realm_users: (or several) | "]),
    ("trunks.yaml", "trunks: {a: {host: h, port: 70000}}", ["trunks.yaml:1:29: trunks.a.port is '70000' | at most 65535 | "]),
    ("trunks.yaml", "trunks: {a: {host: h, codecs: []}}", ["trunks.yaml:1:23: trunks.a.codecs is an empty list | at least one entry | "]),
    ("trunks.yaml", "trunks: {a: {host: h, codecs: [PCMX]}}", ["trunks.yaml:1:32: trunks.a.codecs[0] is 'PCMX'"
     " | PCMU, PCMA, G722, OPUS or L16 | did you mean 'PCMU'?"]),
    ("trunks.yaml", "trunks: {a: {host: h, numbers_in: [{match: '(a+)+', replace: x}]}}",
     ["trunks.yaml:1:44: trunks.a.numbers_in[0].match: this expression repeats a repetition or refers back"
      " | one without, as it could run for ever | "]),
    ("trunks.yaml", "trunks: {a: {host: h, numbers_in: [{match: '0(.*)', replace: '\\2'}]}}",
     ["trunks.yaml:1:36: '\\\\2' uses a group that the expression does not have | groups that exist | "]),
    ("calendars.yaml", "calendars: {a: {hours: {mon-fri: 9-18}}}", [f"calendars.yaml:1:34: calendars.a.hours.mon-fri: '9-18' are no hours | {HOURS} | "]),
    ("calendars.yaml", "calendars: {a: {hours: {mon-fri: 09:00-18:00, tue: closed}}}",
     ["calendars.yaml:1:52: calendars.a.hours.tue: tuesday is given twice | each day once | "]),
    ("calendars.yaml", "calendars: {a: {hours: {someday: open}}}", ["calendars.yaml:1:34: calendars.a.hours.someday: 'someday' is no day"
     " | monday, tue, mon-fri, weekdays, weekend or daily | "]),
    ("calendars.yaml", "calendars: {a: {timezone: Mars/Base, hours: {daily: open}}}",
     ["calendars.yaml:1:27: calendars.a.timezone: 'Mars/Base' is no time zone"
      " | an IANA name such as Asia/Shanghai or Europe/London | "]),
    ("calendars.yaml", "calendars: {a: {hours: {}, public_holidays: {country: XX}}}",
     ["calendars.yaml:1:55: calendars.a.public_holidays.country: there are no holidays known for the country 'XX'"
      " | an ISO 3166 code such as CN | "]),
    ("calendars.yaml", "calendars: {a: {hours: {}, holidays: [{name: x, date: 2026-02-30}]}}",
     ["calendars.yaml:1:55: calendars.a.holidays[0].date: '2026-02-30' is no date | a date such as 2026-10-01 | "]),
    ("routes.yaml", "inbound: [{did: '5[', to: 'hangup:busy'}]", [f"routes.yaml:1:17: inbound[0].did: '[' is never closed in '5[' | {PATTERN} | "]),
    ("routes.yaml", "inbound: [{did: 1, to: 'hangup:busy', closed: 'hangup:busy'}]",
     ["routes.yaml:1:11: closed: and holiday: mean nothing without a calendar | calendar: NAME | "]),
    ("tandem.yaml", "sip: {listeners: {t: {transport: tls}}}", ["tandem.yaml:1:19: the tls listener 't' lacks its certificate or key"
     " | certificate: and key:, both PEM files | "]),
    ("tandem.yaml", "rtp: {port_min: 20000, port_max: 10000}", ["tandem.yaml:1:1: the RTP ports 20000-10000 are too few for one call"
     " | port_max above port_min | "]),
    ("tandem.yaml", "storage: {url: 'postgresql://u:secret@h/d'}",
     ["tandem.yaml:1:16: storage.url is not right | sqlite:///PATH, or postgresql://USER@HOST/DATABASE without a password | "]),
    ("tandem.yaml", "http: {address: here}", ["tandem.yaml:1:17: http.address is 'here' | an IP address | "]),
    ("tandem.yaml", "recording: {low_watermark: 100M}", ["tandem.yaml:1:1: the watermarks are out of order"
     " | full_watermark below low_watermark | "]),
    ("tandem.yaml", "sip: {max_message: huge}", ["tandem.yaml:1:20: sip.max_message is 'huge': this is no size"
     " | a size in bytes such as 500M or 10G | "]),
    ("tandem.yaml", "users: {a: {role: boss, token: {generated: t}}}", ["tandem.yaml:1:19: users.a.role is 'boss'"
     " | agent, supervisor, quality or administrator | "]),
    ("tandem.yaml", "users: {a: {role: agent, password: {env: P}}}", ["tandem.yaml:1:9: the user 'a' of role agent is nobody | agent: ID | "]),
    ("tandem.yaml", "gateways: {g: {control: 'tcp:h:1'}}", ["tandem.yaml:1:12: the gateway 'g' on TCP has no secret"
     " | secret: {generated: gateway-NAME} or the like | "]),
]  # fmt: skip


def tell(problem: Problem) -> str:
    name = Path(problem.file).name
    return f"{name}:{problem.line}:{problem.column}: {problem.message} | {problem.expected} | {problem.hint}"


@pytest.mark.parametrize(("text", "expected"), SYNTAX)
def test_syntax(look: Examine, text: str, expected: str) -> None:
    examined = look({"queues.yaml": text})
    assert [tell(problem) for problem in examined.problems] == [expected]
    assert examined.configuration is None


@pytest.mark.parametrize(("name", "text", "expected"), VALUES, ids=[text for _, text, _ in VALUES])
def test_value(look: Examine, name: str, text: str, expected: list[str]) -> None:
    examined = look({name: text})
    assert [tell(problem) for problem in examined.problems] == expected
    assert examined.configuration is None


def test_all_files_at_once(look: Examine) -> None:
    examined = look(
        {
            "queues.yaml": "queues:\n  a: {max_wait: soon, calendar: offi}\n  b: {overflow: {max_wait: 'queue:c'}}\n",
            "calendars.yaml": "calendars:\n  office: {hours: {daily: 9}}\n",
            "agents.yaml": "agents:\n  8001: {name: X, extension: 1009, queues: {bb: 3}}\n",
            "extensions.yaml": "extensions: [\n",
        }
    )
    places = [(Path(problem.file).name, problem.line, problem.message) for problem in examined.problems]
    assert places == [
        ("agents.yaml", 2, "agents.8001.extension: there is no extension '1009'"),
        ("agents.yaml", 2, "agents.8001.queues.bb: there is no queue 'bb'"),
        ("calendars.yaml", 2, "calendars.office.hours.daily: '9' are no hours"),
        ("extensions.yaml", 2, "this is not YAML: expected the node content, but found '<stream end>' while parsing a flow node"),
        ("queues.yaml", 2, "queues.a.max_wait is 'soon': this is no duration"),
        ("queues.yaml", 2, "queues.a.calendar: there is no calendar 'offi'"),
        ("queues.yaml", 3, "queues.b.overflow.max_wait: there is no queue 'c'"),
    ]  # fmt: skip


def test_wrong_file_names(look: Examine) -> None:
    examined = look({"queue.yaml": "queues: {}", "tandem.yml": "", "tandem.yaml": ""})
    messages = [(problem.message, problem.hint) for problem in examined.problems]
    assert messages == [
        ("nothing reads a file of the name 'queue.yaml'", "did you mean 'queues.yaml'?"),
        ("nothing reads a file of the name 'tandem.yml'", "did you mean 'tandem.yaml'?"),
    ]


def test_nothing_there(look: Examine, folder: Path) -> None:
    assert [problem.message for problem in look({}).problems] == ["the folder holds no configuration"]
    folder.rmdir()
    assert look({}).problems[0].message == "the configuration cannot be read: No such file or directory"


def test_not_utf8(look: Examine, folder: Path) -> None:
    (folder / "queues.yaml").write_bytes(b"queues:\n  a: {title: cl\xe9}\n")
    assert [tell(problem) for problem in look({}).problems] == [
        "queues.yaml:2:16: this byte is not UTF-8 | a file saved as UTF-8 | "
    ]


def test_a_plain_secret_is_marked_so_that_nobody_prints_it(look: Examine) -> None:
    (problem,) = look({"extensions.yaml": "extensions: {1001: {name: A, secret: hunter2}}"}).problems
    assert problem.secret
    assert "hunter2" not in str(problem)
