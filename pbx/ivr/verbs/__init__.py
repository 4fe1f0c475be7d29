"""The verbs of flows: one file each, and one row here."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

from pbx.ivr.verbs.base import AnyVerb

ROWS: dict[str, str] = {
    # verb: module:class
    "answer": "answer:AnswerVerb",
    "branch": "branch:BranchVerb",
    "callback": "callback:CallbackVerb",
    "caller_class": "caller_class:CallerClassVerb",
    "collect": "collect:CollectVerb",
    "conference": "conference:ConferenceVerb",
    "data": "data:DataVerb",
    "dial": "dial:DialVerb",
    "directory": "directory:DirectoryVerb",
    "flow": "flow:FlowVerb",
    "goto": "goto:GotoVerb",
    "greeting": "greeting:GreetingVerb",
    "hangup": "hangup:HangupVerb",
    "hours": "hours:HoursVerb",
    "http": "http:HttpVerb",
    "language": "language:LanguageVerb",
    "loop": "loop:LoopVerb",
    "mailbox": "mailbox:MailboxVerb",
    "menu": "menu:MenuVerb",
    "message": "message:MessageVerb",
    "notice": "notice:NoticeVerb",
    "override": "override:OverrideVerb",
    "pause": "pause:PauseVerb",
    "pin": "pin:PinVerb",
    "play": "play:PlayVerb",
    "queue": "queue:QueueVerb",
    "record": "record:RecordVerb",
    "record_notice": "record_notice:RecordNoticeVerb",
    "return": "return_:ReturnVerb",
    "say": "say:SayVerb",
    "secure": "secure:SecureVerb",
    "set": "set:SetVerb",
    "sql": "sql:SqlVerb",
    "survey": "survey:SurveyVerb",
    "switch": "switch:SwitchVerb",
    "tag": "tag:TagVerb",
    "tone": "tone:ToneVerb",
    "transfer": "transfer:TransferVerb",
    "voicemail": "voicemail:VoicemailVerb",
}


@lru_cache(maxsize=1)
def all_verbs() -> dict[str, AnyVerb]:
    """Every verb by the name flows use."""
    verbs: dict[str, AnyVerb] = {}
    for name, row in ROWS.items():
        module, _, kind = row.partition(":")
        verbs[name] = getattr(import_module(f"pbx.ivr.verbs.{module}"), kind)()
    return verbs
