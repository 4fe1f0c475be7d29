"""Ask a web service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from pbx.ivr.expressions import Template
from pbx.ivr.messages import Expired, Fetch, Fetched, Input
from pbx.ivr.options import Seconds, TargetField, Variable, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb


def _read_body(value: Any) -> Any:
    """Every text in the body is a template."""
    if isinstance(value, dict):
        return {str(key): _read_body(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_read_body(item) for item in value]
    return Template(value) if isinstance(value, str) else value


Body = Annotated[Any, PlainValidator(_read_body), WithJsonSchema({"description": "JSON whose texts are templates"})]


class HttpOptions(VerbOptions):
    url: Template = described(..., "Address; what {{ expressions }} insert is quoted.", "地址；表达式的值会被转义。")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = described("GET", "Method.", "请求方法。")
    query: dict[str, Template] = described({}, "Parameters of the address.", "查询参数。", max_length=50)
    headers: dict[str, Template] = described({}, "Headers.", "请求头。", max_length=30)
    body: Body = Field(
        None, alias="json", description="Body, sent as JSON.", json_schema_extra={"zh": "以 JSON 发送的内容。"}
    )
    timeout: Seconds = described(5.0, "Longest wait for one attempt.", "单次请求的最长等待。", gt=0, le=30)
    retries: int = described(0, "Further attempts when no answer came.", "无应答时的重试次数。", ge=0, le=5)
    into: Variable | str = described("", "Variable that takes the body of the answer.", "保存应答内容的变量。")
    max_bytes: int = described(262144, "Longer answers fail.", "应答的最大字节数。", ge=1, le=4_194_304)
    status: dict[str, TargetField] = described({}, "HTTP status to where it leads.", "按状态码的去向。", max_length=20)
    wait: bool = described(True, "off: send and go straight on, whatever comes of it.", "关闭则不等待结果。")
    failed: TargetField = described(..., "Where to go when it fails: the declared fallback.", "失败时的去向（必填）。")


class HttpVerb(Verb[HttpOptions]):
    name = "http"
    options = HttpOptions
    summary = {
        "en": "Ask a web service. A service that hangs, fails, answers garbage or too much leads to `failed`; "
        "`http_status` holds the status.",
        "zh": "调用 Web 服务；超时、出错、内容错误或过大时转到 failed；变量 http_status 保存状态码。",
    }
    example = """
start:
  - answer
  - http:
      url: "http://127.0.0.1:9/cards/{{ call.caller }}"
      timeout: 2s
      retries: 1
      into: card
      status: {404: [{say: Not found.}, hangup]}
      failed: [{say: Please try later.}, hangup]
  - say: "{{ card.balance | money }}"
  - hangup
"""

    def enter(self, run: Run, options: HttpOptions) -> Outcome:
        templates = [options.url, *options.query.values(), *options.headers.values(), *_templates(options.body)]
        request = run.request("fetch")
        run.put(
            Fetch(
                request=request,
                url=run.url(options.url),
                method=options.method,
                headers={name: _one_line(run.text(value)) for name, value in options.headers.items()},
                query={name: run.text(value) for name, value in options.query.items()},
                body=None if options.body is None else _render(run, options.body),
                timeout=options.timeout,
                retries=options.retries,
                max_bytes=options.max_bytes,
                secret=any(run.is_secret(template) for template in templates),
            )
        )
        if not options.wait:
            del run.state.open[request]
            self._store(run, options, None, 0)
            return "next"
        run.wait((options.timeout + 2.0) * (options.retries + 1) + 1.0)
        return None

    def resume(self, run: Run, options: HttpOptions, event: Input) -> Outcome:
        if isinstance(event, Expired):
            self._store(run, options, None, 0)
            return "failed"
        if not isinstance(event, Fetched):
            return None
        self._store(run, options, None if event.failure else event.body, event.status)
        if event.failure:
            return "failed"
        if str(event.status) in options.status:
            return f"status {event.status}"
        return "next" if 200 <= event.status < 300 else "failed"

    def _store(self, run: Run, options: HttpOptions, body: Any, status: int) -> None:
        run.store("http_status", status)
        if options.into:
            run.store(options.into, body)

    def branches(self, options: HttpOptions) -> Iterator[Branch]:
        for status, target in options.status.items():
            yield f"status {status}", ("status", status), target
        yield "failed", ("failed",), options.failed

    def reads(self, options: HttpOptions) -> frozenset[str]:
        return frozenset().union(*(template.names for template in _templates(options.body)))

    def writes(self, options: HttpOptions) -> frozenset[str]:
        return frozenset({options.into, "http_status"} - {""})


def _templates(body: Any) -> Iterator[Template]:
    if isinstance(body, Template):
        yield body
    elif isinstance(body, dict | list):
        for item in body.values() if isinstance(body, dict) else body:
            yield from _templates(item)


def _render(run: Run, body: Any) -> Any:
    if isinstance(body, Template):
        return run.value(body)
    if isinstance(body, dict):
        return {key: _render(run, item) for key, item in body.items()}
    if isinstance(body, list):
        return [_render(run, item) for item in body]
    return body


def _one_line(text: str) -> str:
    """A header cannot be made to hold another one."""
    return "".join(c for c in text if c.isprintable())
