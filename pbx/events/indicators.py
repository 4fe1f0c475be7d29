"""The classic 23 indicators call-centre managers work from, as a table: names, definitions and formulae, en and zh.

Where :mod:`pbx.events.kpi` defines the same thing more sharply, both are offered, each under its own name. What no
event log knows - cost, schedules, quality scores, staff - comes from outside; without it the indicator is None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from .kpi import (
    AgentTimes,
    QueueCounts,
    divide,
    measure_handling_time,
    measure_speed_of_answer,
    measure_time_to_abandon,
    measure_wait,
)

CUSTOMARY_SHORT_S = 20.0
"""Abandons up to so long are left out of indicator 14 by custom."""


class OutsideFigures(msgspec.Struct, kw_only=True):
    """What comes from elsewhere: workforce planning, accounts, quality management, personnel."""

    scheduled_s: float | None = None
    cost: float | None = None
    monitoring_score: float | None = None
    people_at_work: float | None = None
    people_planned: float | None = None
    staff_left: float | None = None
    staff_full_time: float | None = None


class CentreFigures(msgspec.Struct, kw_only=True):
    """Everything the 23 are computed from, for one interval and one queue, team or centre."""

    queue: QueueCounts = msgspec.field(default_factory=QueueCounts)
    agents: AgentTimes = msgspec.field(default_factory=AgentTimes)
    outside: OutsideFigures = msgspec.field(default_factory=OutsideFigures)
    blocked: int = 0
    """Met busy before the queue: no line, no licence, refused by us."""
    rings: int = 0
    """Rings heard before an answer by agent or IVR, of all answered calls."""
    rung_calls: int = 0
    solved_first_time: int = 0
    """Contacts without another one from the same customer within the window."""
    solved_base: int = 0
    """Contacts looked at for that."""


class Indicator(NamedTuple):
    """A row: number, key, names, definitions, unit, custom, formula."""

    number: int
    key: str
    en: str
    zh: str
    definition_en: str
    definition_zh: str
    unit: str
    """``share`` (0..1), ``s``, ``count``, ``per_hour``, ``money``, ``score``."""
    custom: str
    """Customary interval and target."""
    measure: Callable[[CentreFigures], float | None]


def _divide_known(numerator: float | None, denominator: float | None) -> float | None:
    return None if numerator is None or denominator is None else divide(numerator, denominator)


def _count_all(f: CentreFigures) -> int:
    return f.blocked + f.queue.abandoned + f.queue.answered


def _measure_connected_service(f: CentreFigures) -> float | None:
    return divide(f.queue.answered_in_time, f.queue.answered + f.queue.abandoned)


def _measure_connected_abandonment(f: CentreFigures) -> float | None:
    return divide(f.queue.abandoned - f.queue.abandoned_short, f.queue.answered + f.queue.abandoned)


INDICATORS: tuple[Indicator, ...] = (
    Indicator(
        1, "adherence", "Adherence", "实际工作率",
        "signed-in time / scheduled time", "签入时间 / 排班时间",
        "share", "daily; > 92 %",
        lambda f: _divide_known(f.agents.logged_on_s, f.outside.scheduled_s),
    ),
    Indicator(
        2, "after_call_work", "After-call work", "事后处理时间",
        "mean time to finish a call's paperwork", "通话后处理的平均时间",
        "s", "mean 60 s, target 30-60 s",
        lambda f: divide(f.agents.after_call_s, f.agents.handled),
    ),
    Indicator(
        3, "time_to_abandon", "Time to abandon", "平均放弃时间",
        "mean wait of those who gave up", "放弃者的平均等待时间",
        "s", "mean 60 s, range 20-60 s",
        lambda f: measure_time_to_abandon(f.queue),
    ),
    Indicator(
        4, "cost_per_call", "Cost per call", "平均单呼成本",
        "all cost / all calls, whoever answered", "全部成本 / 全部呼叫,不论由谁应答",
        "money", "2-5 CNY",
        lambda f: _divide_known(f.outside.cost, f.queue.answered),
    ),
    Indicator(
        5, "handling_time", "Handling time", "平均通话时间",
        "talk and after-call work per call", "每次呼叫的交谈与事后处理时间",
        "s", "per agent, team, centre",
        lambda f: measure_handling_time(f.agents),
    ),
    Indicator(
        6, "hold_time", "Hold time", "平均持线时间",
        "mean time on hold, of calls that were held", "被保持呼叫的平均保持时间",
        "s", "per agent",
        lambda f: divide(f.agents.hold_s, f.agents.held),
    ),
    Indicator(
        7, "rings", "Rings", "平均振铃次数",
        "rings heard before an answer by agent or IVR", "坐席或 IVR 应答前听到的振铃次数",
        "count", "daily",
        lambda f: divide(f.rings, f.rung_calls),
    ),
    Indicator(
        8, "queue_time", "Queue time", "平均排队时间",
        "mean wait in the ACD's list, of all who entered", "所有进入 ACD 队列者的平均等待时间",
        "s", "daily",
        lambda f: measure_wait(f.queue),
    ),
    Indicator(
        9, "speed_of_answer", "Speed of answer", "平均应答速度",
        "total queue time of the answered / answered", "已应答呼叫的总排队时间 / 已应答呼叫数",
        "s", "each half hour, with trend chart",
        lambda f: measure_speed_of_answer(f.queue),
    ),
    Indicator(
        10, "talk_time", "Talk time", "平均交谈时间",
        "caller with agent", "来电者与坐席的交谈时间",
        "s", "weekly, by call type",
        lambda f: divide(f.agents.talk_s, f.agents.handled),
    ),
    Indicator(
        11, "calls_per_hour", "Calls per hour", "每小时呼叫次数",
        "calls taken / hours signed in", "接听数 / 签入小时数",
        "per_hour", "daily",
        lambda f: divide(f.agents.handled, f.agents.logged_on_s / 3600.0),
    ),
    Indicator(
        12, "monitoring_score", "Monitoring score", "监听分值",
        "quality grade by the reviewers", "质检人员的评分",
        "score", "monthly",
        lambda f: f.outside.monitoring_score,
    ),
    Indicator(
        13, "occupancy", "Occupancy", "占线率",
        "(talk + hold) / (talk + hold + idle)", "(交谈 + 保持)/(交谈 + 保持 + 空闲)",
        "share", "team and agent",
        lambda f: divide(f.agents.talk_s + f.agents.hold_s, f.agents.talk_s + f.agents.hold_s + f.agents.idle_s),
    ),
    Indicator(
        14, "abandonment", "Abandonment", "呼叫放弃率",
        "abandoned / connected, short ones left out", "放弃数(不计短时放弃)/ 接通数",
        "share", "daily; short is up to 20 s by custom",
        _measure_connected_abandonment,
    ),
    Indicator(
        15, "attendance", "Attendance", "出勤率",
        "people at work / people planned", "出勤人数 / 计划人数",
        "share", "daily",
        lambda f: _divide_known(f.outside.people_at_work, f.outside.people_planned),
    ),
    Indicator(
        16, "blocked", "Blocked", "忙音率",
        "met busy before the ACD / all attempts", "进入 ACD 前遇忙 / 全部尝试",
        "share", "hourly",
        lambda f: divide(f.blocked, f.blocked + f.queue.offered),
    ),
    Indicator(
        17, "first_call_resolution", "First-call resolution", "一次性解决率",
        "solved without a second call either way / calls", "无需再次来去电即解决 / 呼叫数",
        "share", "daily",
        lambda f: divide(f.solved_first_time, f.solved_base),
    ),
    Indicator(
        18, "queued_share", "Queued share", "队列放置率",
        "calls that had to queue / all calls", "需要排队的呼叫 / 全部呼叫",
        "share", "weekly",
        lambda f: divide(f.queue.queued, f.queue.offered),
    ),
    Indicator(
        19, "transfer_rate", "Transfer rate", "转接呼叫率",
        "transferred / taken", "转接数 / 接听数",
        "share", "1-2 %",
        lambda f: divide(f.agents.transferred, f.agents.handled),
    ),
    Indicator(
        20, "answered_share", "Answered share", "已复电话百分比",
        "answered / all calls", "已应答 / 全部呼叫",
        "share", "daily",
        lambda f: divide(f.queue.answered, _count_all(f)),
    ),
    Indicator(
        21, "service_level", "Service level", "服务水平",
        "answered within the threshold / connected", "阈值内应答 / 接通数",
        "share", "80 % in 20 s",
        _measure_connected_service,
    ),
    Indicator(
        22, "total_calls", "Total calls", "总呼叫数",
        "blocked + abandoned + answered", "遇忙 + 放弃 + 应答",
        "count", "hour, day, week, month",
        lambda f: float(_count_all(f)),
    ),
    Indicator(
        23, "staff_turnover", "Staff turnover", "流动率",
        "left / full-time staff", "离职人数 / 全职人数",
        "share", "month, quarter, year; 15-30 %",
        lambda f: _divide_known(f.outside.staff_left, f.outside.staff_full_time),
    ),
)  # fmt: skip
"""In the customary order."""


def measure_all(figures: CentreFigures) -> dict[str, float | None]:
    """All 23 by key."""
    return {indicator.key: indicator.measure(figures) for indicator in INDICATORS}
