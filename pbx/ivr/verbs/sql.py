"""Ask a business database."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import field_validator, model_validator

from pbx.ivr.expressions import Template
from pbx.ivr.messages import Expired, Input, Query, QueryResult
from pbx.ivr.options import Seconds, TargetField, Variable, VerbOptions, described
from pbx.ivr.run import Outcome, Run
from pbx.ivr.verbs.base import Branch, Verb

_TEXTS = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_WRITES = re.compile(r"\b(insert|update|delete|drop|alter|create|replace|truncate|attach|pragma|grant|into)\b", re.I)
_PARAMETER = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")


class SqlOptions(VerbOptions):
    source: str = described(..., "Name of the source in the configuration.", "配置中的数据源名称。")
    query: str = described(
        ..., "One SELECT with :parameters; nothing else is run.", "一条带 :参数 的 SELECT 语句。", max_length=5000
    )
    params: dict[str, Template] = described(
        {}, "Values of the parameters; they are bound, never pasted.", "参数值，以绑定方式传递。", max_length=50
    )
    into: Variable = described(..., "Variable that takes the rows, or the one row with `first`.", "保存结果的变量。")
    first: bool = described(False, "Take the first row only.", "只取第一行。")
    timeout: Seconds = described(3.0, "Longest wait.", "最长等待。", gt=0, le=30)
    max_rows: int = described(20, "At most so many rows.", "最多行数。", ge=1, le=500)
    empty: TargetField | None = described(None, "Where to go when there is no row.", "无结果时的去向。")
    failed: TargetField = described(..., "Where to go when it fails: the declared fallback.", "失败时的去向（必填）。")

    @field_validator("query")
    @classmethod
    def _check_read_only(cls, value: str) -> str:
        code = _TEXTS.sub(" ", value).strip().rstrip(";").strip()
        if ";" in code:
            raise ValueError("expected one statement")
        if not re.match(r"(select|with)\b", code, re.I) or _WRITES.search(code):
            raise ValueError("expected a SELECT: flows only read")
        if "{{" in value:
            raise ValueError("expected :parameters; values are not pasted into a statement")
        return value

    @model_validator(mode="after")
    def _check_params(self) -> SqlOptions:
        wanted = find_parameters(self.query)
        missing, extra = wanted - set(self.params), set(self.params) - wanted
        if missing or extra:
            what = f"no value for :{min(missing)}" if missing else f"the statement has no :{min(extra)}"
            raise ValueError(what)
        return self


def find_parameters(statement: str) -> set[str]:
    """Names of the ``:parameters`` outside texts and comments."""
    return set(_PARAMETER.findall(_TEXTS.sub(" ", statement)))


class SqlVerb(Verb[SqlOptions]):
    name = "sql"
    options = SqlOptions
    summary = {
        "en": "Read rows from a business database; read-only, with bound parameters.",
        "zh": "只读查询业务数据库，参数绑定。",
    }
    example = """
start:
  - answer
  - sql:
      source: business
      query: SELECT balance FROM cards WHERE number = :card
      params: {card: "{{ call.caller }}"}
      into: card
      first: true
      empty: [{say: Unknown card.}, hangup]
      failed: [{say: Please try later.}, hangup]
  - say: "{{ card.balance | money }}"
  - hangup
"""

    def enter(self, run: Run, options: SqlOptions) -> Outcome:
        run.put(
            Query(
                request=run.request("query"),
                source=options.source,
                statement=options.query,
                params={name: run.value(template) for name, template in options.params.items()},
                timeout=options.timeout,
                max_rows=1 if options.first else options.max_rows,
                secret=any(run.is_secret(template) for template in options.params.values()),
            )
        )
        run.wait(options.timeout + 2.0)
        return None

    def resume(self, run: Run, options: SqlOptions, event: Input) -> Outcome:
        if not isinstance(event, QueryResult | Expired):
            return None
        rows = list(event.rows) if isinstance(event, QueryResult) else []
        run.store(options.into, (rows[0] if rows else {}) if options.first else rows)
        if isinstance(event, Expired) or event.failure:
            return "failed"
        return "next" if rows else "empty"

    def branches(self, options: SqlOptions) -> Iterator[Branch]:
        if options.empty is not None:
            yield "empty", ("empty",), options.empty
        yield "failed", ("failed",), options.failed

    def writes(self, options: SqlOptions) -> frozenset[str]:
        return frozenset({options.into})

    def references(self, options: SqlOptions) -> Iterator[tuple[str, str, tuple[str | int, ...]]]:
        yield "source", options.source, ("source",)
