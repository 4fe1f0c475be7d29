"""Test cases of flows, as an admin writes them in ``tests/*.yaml`` beside ``flow.yaml``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, WithJsonSchema, model_validator

from pbx.core.problems import Problem
from pbx.core.yaml_tree import Node, parse_yaml
from pbx.ivr.expressions import read_literal
from pbx.ivr.options import OptionModel, Seconds, described
from pbx.ivr.schema import locate, tell_errors


def _literals(value: Any) -> Any:
    """Plain YAML values: numbers and truth values by their looks, as in ``set``."""
    if isinstance(value, dict):
        return {key: _literals(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literals(item) for item in value]
    return read_literal(value) if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Plain = Annotated[Any, BeforeValidator(_literals)]
Words = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
CalendarWord = Annotated[str, Field(pattern="^(open|closed|holiday)(:.*)?$")]


class Action(OptionModel):
    """One thing the caller or the world does: exactly one of these."""

    hear: str = described(
        "", "Listen until this prompt (its name, or a part of what is said) is over.", "听完指定提示音。"
    )
    press: str = described(
        "", "Press these keys; a prompt that allows it is cut short.", "按键，可打断允许打断的提示音。"
    )
    silence: Seconds = described(0.0, "Do nothing for so long.", "在此时长内不做任何操作。")
    say: str = described("", "Speak, and be understood so.", "说话，识别结果如此。")
    mumble: bool = described(False, "Speak, and not be understood.", "说话但未被识别。")
    speak: Seconds = described(0.0, "Leave a recording of so long.", "录音留言的时长。")
    queue: str = described(
        "", "What the queue says: answered, completed, timeout, overflow, full, closed, no_agents.", "排队结果。"
    )
    dial: str = described(
        "", "How the call out goes: answered, completed, busy, no_answer, rejected, unavailable, failed.", "外呼结果。"
    )
    callback: Literal["", "accepted", "refused"] = described("", "Whether a callback is taken.", "是否接受回拨。")
    prompt_fails: bool = described(False, "The prompt that plays cannot be played.", "当前提示音播放失败。")
    hang_up: bool = described(False, "Hang up.", "挂机。")

    @model_validator(mode="after")
    def _check_one(self) -> Action:
        if len(self.model_fields_set) != 1:
            raise ValueError("expected exactly one action")
        return self


def _read_action(value: Any) -> Any:
    return {value: "true"} if isinstance(value, str) else value


class HttpAnswer(OptionModel):
    """The answer to HTTP requests whose address holds ``match``; several are used in turn, the last one again."""

    match: str = described("", "Part of method and address.", "方法与地址中的一部分。")
    status: int = described(200, "HTTP status.", "HTTP 状态码。")
    body: Plain = Field(None, alias="json", description="Body.", json_schema_extra={"zh": "响应内容。"})
    failure: Literal["", "timeout", "refused", "open_circuit", "too_large", "bad_json", "error"] = ""
    expect: Plain = described(None, "The body the flow must send.", "流程应发送的内容。")


class SqlAnswer(OptionModel):
    """The rows for statements that hold ``match``."""

    match: str = described("", "Part of the statement.", "语句中的一部分。")
    rows: Plain = described((), "Rows, each a mapping.", "结果行。")
    failure: Literal["", "timeout", "unknown_source", "refused", "error"] = ""
    params: Plain = described(None, "Parameters the flow must bind.", "流程应绑定的参数。")


class MailboxMessage(OptionModel):
    """One voice message."""

    id: str
    path: str = "message.wav"
    caller: str = "13800138000"
    at: str = "2026-11-22T09:00:00"
    seconds: float = 10.0
    new: bool = True
    urgent: bool = False


class Mailbox(OptionModel):
    """One voice mailbox."""

    pin: str = ""
    locked: bool = False
    messages: tuple[MailboxMessage, ...] = ()


class Expectation(OptionModel):
    """What must hold at the end; what is not given is not looked at."""

    path: tuple[str, ...] | None = described(None, "All nodes in order.", "依次经过的全部节点。")
    passes: Words = described((), "Nodes passed in this order, others between.", "依次经过的部分节点。")
    heard: Words = described(
        (), "Prompts or parts of what was said, in this order, others between.", "依次听到的内容。"
    )
    not_heard: Words = described((), "Prompts or parts of what was said that must not be heard.", "不应听到的内容。")
    ended: str | None = described(
        None, "hangup, hung_up, transferred, completed, error, or waiting.", "结束方式；waiting 表示仍在等待。"
    )
    cause: str | None = described(None, "Hangup cause as in `hangup`.", "挂机原因。")
    queue: str | None = described(None, "Queue the caller was put in last.", "最后进入的队列。")
    priority: int | None = described(None, "Priority in that queue.", "排队优先级。")
    dialled: Words = described((), "Destinations dialled, in order.", "依次呼叫的目的地。")
    transferred: str | None = described(None, "Destination of the transfer.", "转接目的地。")
    language: str | None = described(None, "Language at the end.", "最终语言。")
    variables: dict[str, Plain] = described({}, "Variables at the end.", "最终变量值。")
    data: dict[str, Plain] = described({}, "Data for agents' screens.", "座席屏幕数据。")
    tags: dict[str, str] = described({}, "Marks for reports.", "报表标记。")
    notices: Words = described((), "Texts of SMS and e-mails sent, or parts of them.", "发送的短信或邮件内容。")
    messages: Words = described((), "Mailboxes that got a message.", "收到留言的信箱。")
    overrides: dict[str, str] = described({}, "Calendars switched by hand.", "手动切换的日历。")
    changes: Words = described(
        (), "What happened to messages, as `1001 m1 deleted`, in order.", "对留言的操作，依次列出。"
    )
    greetings: dict[str, str] = described({}, "Greetings recorded, by mailbox.", "录制的问候语。")
    survey: dict[str, str] = described({}, "Answers of the survey.", "调查结果。")
    collected: Words = described((), "Digits as the log shows them, in order.", "日志中显示的按键。")


class Case(OptionModel):
    """One call."""

    name: str = described(..., "What is tried.", "用例名称。", min_length=1)
    caller: str = described("13800138000", "Caller's number.", "主叫号码。")
    called: str = described("4008001234", "Number dialled.", "被叫号码。")
    language: str = described("", "Caller's language when known.", "已知的来电者语言。")
    call_data: dict[str, Plain] = described({}, "Data that came with the call.", "随呼叫带来的数据。")
    at: datetime = described(
        "2026-11-23T10:00:00+08:00", "Local time of the call.", "来电时间。", validate_default=True
    )
    calendars: dict[str, CalendarWord] = described(
        {}, "open, closed or holiday:NAME per calendar; otherwise open.", "各日历状态，缺省为 open。"
    )
    http: tuple[HttpAnswer, ...] = described(
        (), "Answers of web services: match, status, json or failure; expect: what must be sent.", "Web 服务的应答。"
    )
    sql: tuple[SqlAnswer, ...] = described(
        (), "Answers of databases: match, rows or failure; params.", "数据库的应答。"
    )
    mailboxes: dict[str, Mailbox] = described({}, "Voice mailboxes: pin and messages.", "语音信箱：PIN 与留言。")
    lookups: dict[str, Plain] = described({}, "`kind key` to a list of matches.", "目录查询结果。")
    steps: tuple[Annotated[Action, BeforeValidator(_read_action)], ...] = described((), "What happens.", "操作步骤。")
    expect: Expectation = described(Expectation(), "What must come of it.", "期望结果。")


class CaseFile(OptionModel):
    """One file of cases."""

    defaults: dict[str, Any] = described({}, "Fields for every case that does not give them.", "所有用例的缺省值。")
    cases: tuple[Any, ...] = described(..., "The cases.", "用例。", min_length=1, max_length=500)


class PlacedCase:
    """A case and where it stands."""

    __slots__ = ("case", "file", "flow", "line")

    def __init__(self, case: Case, flow: str, file: str, line: int) -> None:
        self.case = case
        self.flow = flow
        self.file = file
        self.line = line


_CASE: TypeAdapter[Case] = TypeAdapter(Case)


def read_cases(folder: Path) -> tuple[list[PlacedCase], list[Problem]]:
    """The test cases of a flow's folder."""
    cases: list[PlacedCase] = []
    problems: list[Problem] = []
    for file in sorted((folder / "tests").glob("*.yaml")):
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(Problem(str(file), 1, 1, f"the file cannot be read: {error}"))
            continue
        tree, wrong = parse_yaml(text, str(file))
        problems += wrong
        if tree is not None and not wrong:
            found, wrong = _read_file(tree, folder.name, str(file))
            cases += found
            problems += wrong
    return cases, problems


def _read_file(tree: Node, flow: str, file: str) -> tuple[list[PlacedCase], list[Problem]]:
    try:
        top = CaseFile.model_validate(tree.plain())
    except ValidationError as error:
        return [], tell_errors(error, tree, CaseFile.model_fields)
    cases: list[PlacedCase] = []
    problems: list[Problem] = []
    for index, raw in enumerate(top.cases):
        node = locate(tree, ("cases", index)) or tree
        if not isinstance(raw, dict):
            problems.append(node.mark.problem("a case is missing here", "a mapping with name, steps and expect"))
            continue
        try:
            case = _CASE.validate_python({**top.defaults, **raw})
        except ValidationError as error:
            problems += tell_errors(error, node, Case.model_fields)
            continue
        cases.append(PlacedCase(case, flow, file, node.mark.line))
    return cases, problems
