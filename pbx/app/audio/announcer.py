"""What Tandem itself says to callers and agents, in their language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from media.protocol import File, PlayItem, Speech
from pbx.config.base import Prompt
from pbx.ivr.speech import language as spoken_forms

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

_TEXTS: dict[str, dict[str, str]] = {
    "position_next": {
        "en": "You are next in line.",
        "zh": "您是下一位。",
    },
    "position": {
        "en": "You are number {position} in the queue.",
        "zh": "您前面还有{ahead}位，您排在第{position}位。",
    },
    "wait": {
        "en": "The estimated wait is {duration}.",
        "zh": "预计还需等待{duration}。",
    },
    "recorded": {
        "en": "This call is recorded.",
        "zh": "本次通话将被录音。",
    },
    "logged_on": {"en": "You are logged in.", "zh": "您已签入。"},
    "logged_off": {"en": "You are logged out.", "zh": "您已签出。"},
    "ready": {"en": "You are ready.", "zh": "您已就绪。"},
    "not_ready": {"en": "You are not ready.", "zh": "您已示忙。"},
    "after_call_work_end": {"en": "After call work is finished.", "zh": "话后处理已结束。"},
    "do_not_disturb_on": {"en": "Do not disturb is on.", "zh": "免打扰已开启。"},
    "do_not_disturb_off": {"en": "Do not disturb is off.", "zh": "免打扰已关闭。"},
    "forward_set": {"en": "Calls are forwarded.", "zh": "呼叫转移已设置。"},
    "forward_off": {"en": "Forwarding is off.", "zh": "呼叫转移已取消。"},
    "calendar_closed": {"en": "Closed by hand.", "zh": "已手动关闭。"},
    "calendar_open": {"en": "Following the calendar again.", "zh": "已恢复按日历营业。"},
    "mail_subject": {"en": "Voice message from {caller}", "zh": "来自{caller}的语音留言"},
    "mail_text": {
        "en": "{name}, you have a voice message of {seconds} seconds from {caller}.",
        "zh": "{name}，您有一条来自{caller}的语音留言，时长{seconds}秒。",
    },
    "parked": {"en": "The call is parked at {slot}.", "zh": "电话已停泊在{slot}。"},
    "refused": {"en": "That is not possible.", "zh": "无法完成此操作。"},
    "clock": {
        "en": "This is extension {number}. It is {time} on {date}.",
        "zh": "这里是分机{number}。现在是{date}，{time}。",
    },
}


class Announcer:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex

    def say(self, name: str, language: str, **values: str) -> tuple[PlayItem, ...]:
        """The sentence ``name`` in ``language``, or in the server's where it is not known there."""
        texts = _TEXTS[name]
        tag = self._tag(language)
        return (Speech(text=texts[tag].format(**values), language=tag),)

    def position(self, queue: str, language: str, position: int, wait_s: float | None) -> tuple[PlayItem, ...]:
        """Place in the queue and estimated wait, as the queue's configuration wants them told."""
        entry = self._ex.settings.configuration.queues.get(queue)
        if entry is None:
            return ()
        tag = self._tag(entry.language or language)
        forms = spoken_forms(tag)
        items: tuple[PlayItem, ...] = ()
        if entry.announcements.position:
            if position <= 1:
                items += self.say("position_next", tag)
            else:
                items += self.say("position", tag, position=forms.number(position), ahead=forms.number(position - 1))
        if entry.announcements.estimated_wait and wait_s:
            minutes = max(1, round(wait_s / 60))
            items += self.say("wait", tag, duration=forms.duration(minutes * 60))
        return items

    def greeting(self, queue: str, language: str) -> tuple[PlayItem, ...]:
        entry = self._ex.settings.configuration.queues.get(queue)
        if entry is None or not entry.greeting:
            return ()
        return (self.prompt(entry.greeting, entry.language or language),)

    def mail(self, name: str, language: str, caller: str, seconds: float) -> tuple[str, str]:
        """Text and subject of the e-mail that tells of a voice message."""
        tag = self._tag(language)
        values = {"name": name, "caller": caller, "seconds": round(seconds)}
        return _TEXTS["mail_text"][tag].format(**values), _TEXTS["mail_subject"][tag].format(**values)

    def queue_prompt(self, queue: str, language: str, played: int) -> PlayItem | None:
        """The next of the prompts that are played in turn while callers wait; ``played``: how many were."""
        entry = self._ex.settings.configuration.queues.get(queue)
        if entry is None or not entry.announcements.prompts:
            return None
        prompts = entry.announcements.prompts
        return self.prompt(prompts[played % len(prompts)], entry.language or language)

    def prompt(self, prompt: Prompt, language: str) -> PlayItem:
        """A prompt of the configuration: its recording in ``language`` where there is one, else its text spoken."""
        tag = self._tag(language)
        path = self._ex.settings.find_prompt(prompt.file, tag) if prompt.file else ""
        text = prompt.text.get(tag) or next(iter(prompt.text.values()), "")
        return File(path=path or prompt.file) if path or not text else Speech(text=text, language=tag)

    def _tag(self, language: str) -> str:
        tag = (language or self._ex.settings.language).split("-")[0]
        return tag if tag in ("en", "zh") else "en"
