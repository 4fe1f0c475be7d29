"""Send an SMS or an e-mail."""

from __future__ import annotations

from pydantic import model_validator

from pbx.ivr.expressions import Template
from pbx.ivr.messages import MASK, Notify
from pbx.ivr.options import Texts, VerbOptions, described
from pbx.ivr.run import Outcome, Run, pick_language
from pbx.ivr.verbs.base import Verb


class NoticeOptions(VerbOptions):
    sms: Template | None = described(None, "Number to send an SMS to.", "短信接收号码。")
    email: Template | None = described(None, "Address to send an e-mail to.", "邮件接收地址。")
    subject: Texts = described({}, "Subject of the e-mail.", "邮件主题。")
    text: Texts = described(..., "The text, or one per language.", "内容，可按语言分别给出。")

    @model_validator(mode="after")
    def _check_one(self) -> NoticeOptions:
        if (self.sms is None) == (self.email is None):
            raise ValueError("expected exactly one of sms and email")
        return self


class NoticeVerb(Verb[NoticeOptions]):
    name = "notice"
    options = NoticeOptions
    summary = {
        "en": "Send an SMS or e-mail through the configured webhook; the flow does not wait.",
        "zh": "经 Webhook 发送短信或邮件，不等待结果。",
    }
    example = """
start:
  - answer
  - notice: {sms: "{{ call.caller }}", text: {en: Thank you., zh: 感谢来电。}}
  - hangup
"""

    def enter(self, run: Run, options: NoticeOptions) -> Outcome:
        target = options.sms or options.email
        assert target is not None
        subject = self._pick(run, options.subject) if options.subject else ""
        kind = "sms" if options.sms is not None else "email"
        run.put(Notify(kind, run.text(target), self._pick(run, options.text), subject))  # type: ignore[arg-type]
        return "next"

    def _pick(self, run: Run, texts: dict[str, Template]) -> str:
        template = texts[pick_language(texts, run.state.language, run.flow.language)]
        return MASK if run.is_secret(template) else run.text(template)
