"""A telephone in a process of its own, made of pjsip (pjsua2), that does what lines of JSON on its standard input say.

It is not ours on purpose: the demonstration and the interoperability tests call Tandem with somebody else's SIP
stack. Commands have ``do``; events come back as one JSON object per line, with ``event``. It speaks a WAV file and
records what it hears, so that whoever drives it can judge by content.

    {"do": "register", "user": "1001", "password": "...", "registrar": "sip:127.0.0.1:5060"}
    {"do": "call", "uri": "sip:+861055550100@127.0.0.1:5060"}
    {"do": "answer"}  {"do": "hold"}  {"do": "retrieve"}  {"do": "digits", "digits": "12"}  {"do": "hangup"}
    {"do": "say", "file": "word.wav"}
    {"do": "transfer", "uri": "sip:1002@..."}  {"do": "attend", "call": 0, "to": 1}  {"do": "quit"}
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import select
import sys
from typing import Any

import pjsua2 as pj


def emit(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


class Line(pj.Call):  # type: ignore[misc]
    """One call of the phone."""

    def __init__(self, phone: Phone, account: pj.Account, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, call_id)
        self.phone = phone
        self.number = phone.take_number(self)
        self.recorder: pj.AudioMediaRecorder | None = None

    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        info = self.getInfo()
        emit("state", call=self.number, state=info.stateText, code=info.lastStatusCode, reason=info.lastReason)
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.phone.lines.pop(self.number, None)
            # pjsua2 must not lose the object inside its own callback.
            self.phone.finished.append(self)

    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:
        info = self.getInfo()
        for index, media in enumerate(info.media):
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            emit("media", call=self.number, status=int(media.status))
            if media.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
                self._connect(index)

    def _connect(self, index: int) -> None:
        audio = self.getAudioMedia(index)
        if self.phone.player is not None:
            self.phone.player.startTransmit(audio)
        if self.phone.record:
            if self.recorder is None:
                self.recorder = pj.AudioMediaRecorder()
                self.recorder.createRecorder(self.phone.record.replace("%d", str(self.number)))
            audio.startTransmit(self.recorder)

    def onDtmfDigit(self, prm: pj.OnDtmfDigitParam) -> None:
        emit("digit", call=self.number, digit=prm.digit)

    def onCallTransferStatus(self, prm: pj.OnCallTransferStatusParam) -> None:
        emit("transfer", call=self.number, code=prm.statusCode, final=bool(prm.finalNotify))


class Account(pj.Account):  # type: ignore[misc]
    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self.phone = phone

    def onRegState(self, prm: pj.OnRegStateParam) -> None:
        emit("registration", code=int(prm.code), reason=prm.reason, expires=int(prm.expiration))

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:
        line = Line(self.phone, self, prm.callId)
        info = line.getInfo()
        emit("incoming", call=line.number, remote=info.remoteUri, local=info.localUri)
        if self.phone.ring:
            line.answer(self.phone.answer(180))


class Phone:
    def __init__(self, options: argparse.Namespace) -> None:
        self.lines: dict[int, Line] = {}
        self.finished: list[Line] = []
        self.record: str = options.record
        self.ring: bool = not options.silent
        self.player: pj.AudioMediaPlayer | None = None
        self.said: pj.AudioMediaPlayer | None = None
        self._count = 0
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.userAgent = "pjsua2"
        config.logConfig.level = options.verbose
        config.logConfig.consoleLevel = 0
        config.logConfig.filename = options.log
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        config.medConfig.clockRate = 8000
        self.endpoint.libInit(config)
        transport = pj.TransportConfig()
        transport.port = options.port
        transport.boundAddress = options.address
        transport.publicAddress = options.address
        kinds = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}
        number = self.endpoint.transportCreate(kinds[options.transport], transport)
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()
        for codec in self.endpoint.codecEnum2():
            name = codec.codecId.split("/")[0]
            wanted = options.codecs.split(",")
            self.endpoint.codecSetPriority(codec.codecId, 250 - wanted.index(name) if name in wanted else 0)
        info = self.endpoint.transportGetInfo(number)
        self.parameter = "" if options.transport == "udp" else f";transport={options.transport}"
        self.address = info.localName
        if options.speak:
            self.player = pj.AudioMediaPlayer()
            self.player.createPlayer(options.speak)
        self.account = self._make_account(options)
        emit("ready", address=info.localName)

    def _make_account(self, options: argparse.Namespace) -> Account:
        config = pj.AccountConfig()
        config.idUri = f"sip:{options.user}@{self.address}"
        config.mediaConfig.transportConfig.boundAddress = options.address
        config.mediaConfig.transportConfig.publicAddress = options.address
        config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
        config.callConfig.prackUse = pj.PJSUA_100REL_MANDATORY if options.prack else pj.PJSUA_100REL_NOT_USED
        if options.srtp:
            config.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY
            config.mediaConfig.srtpSecureSignaling = 0
        self.config = config
        account = Account(self)
        account.create(config)
        return account

    def take_number(self, line: Line) -> int:
        number = self._count
        self._count += 1
        self.lines[number] = line
        return number

    def answer(self, code: int) -> pj.CallOpParam:
        parameters = pj.CallOpParam(True)
        parameters.statusCode = code
        return parameters

    # --- commands ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until ``quit`` or the end of the input."""
        pending = b""
        while True:
            self.endpoint.libHandleEvents(5)
            self.finished.clear()
            ready, _, _ = select.select([0], [], [], 0)
            if not ready:
                continue
            chunk = os.read(0, 65536)
            if not chunk:
                return
            pending += chunk
            *lines, pending = pending.split(b"\n")
            for text in lines:
                if not self._obey(json.loads(text)):
                    return

    def close(self) -> None:
        """Finish the recordings: their headers are written when the recorders go, which the bridge's clock does."""
        for line in (*self.lines.values(), *self.finished):
            line.recorder = None
        self.finished.clear()
        gc.collect()
        for _ in range(30):
            self.endpoint.libHandleEvents(10)

    def _obey(self, command: dict[str, Any]) -> bool:
        name = command.pop("do")
        if name == "quit":
            return False
        try:
            getattr(self, f"do_{name}")(**command)
        except pj.Error as error:
            emit("error", do=name, reason=error.reason)
        return True

    def _line(self, call: int | None) -> Line:
        return self.lines[call if call is not None else max(self.lines)]

    def do_register(self, user: str, password: str, registrar: str, expires: int = 300) -> None:
        host = registrar.split(":", 1)[1]
        config = self.config
        config.idUri = f"sip:{user}@{host}"
        config.regConfig.registrarUri = f"sip:{host}{self.parameter}"
        config.regConfig.timeoutSec = expires
        config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
        self.account.modify(config)

    def do_unregister(self) -> None:
        self.account.setRegistration(False)

    def do_call(self, uri: str) -> None:
        line = Line(self, self.account)
        line.makeCall(uri + self.parameter, pj.CallOpParam(True))

    def do_answer(self, call: int | None = None, code: int = 200) -> None:
        self._line(call).answer(self.answer(code))

    def do_hold(self, call: int | None = None) -> None:
        self._line(call).setHold(pj.CallOpParam(True))

    def do_retrieve(self, call: int | None = None) -> None:
        parameters = pj.CallOpParam(True)
        parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
        self._line(call).reinvite(parameters)

    def do_reinvite(self, call: int | None = None) -> None:
        self._line(call).reinvite(pj.CallOpParam(True))

    def do_update(self, call: int | None = None) -> None:
        self._line(call).update(pj.CallOpParam(True))

    def do_digits(self, digits: str, call: int | None = None, info: bool = False) -> None:
        """By RFC 4733, or in INFO."""
        parameters = pj.CallSendDtmfParam()
        parameters.digits = digits
        parameters.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if info else pj.PJSUA_DTMF_METHOD_RFC2833
        self._line(call).sendDtmf(parameters)

    def do_say(self, file: str, call: int | None = None) -> None:
        """Once, over what is said all the time."""
        self.said = pj.AudioMediaPlayer()
        self.said.createPlayer(file, pj.PJMEDIA_FILE_NO_LOOP)
        self.said.startTransmit(self._line(call).getAudioMedia(-1))

    def do_hangup(self, call: int | None = None, code: int = 0) -> None:
        self._line(call).hangup(self.answer(code))

    def do_transfer(self, uri: str, call: int | None = None) -> None:
        self._line(call).xfer(uri, pj.CallOpParam(True))

    def do_attend(self, to: int, call: int) -> None:
        self._line(call).xferReplaces(self._line(to), pj.CallOpParam(True))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.phone", description=__doc__)
    parser.add_argument("--user", default="phone")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--transport", choices=("udp", "tcp", "tls"), default="udp")
    parser.add_argument("--codecs", default="PCMA,PCMU", help="by preference")
    parser.add_argument("--speak", default="", help="WAV file to say, again and again")
    parser.add_argument("--record", default="", help="WAV file for what is heard; %%d becomes the number of the call")
    parser.add_argument("--silent", action="store_true", help="no 180 on its own")
    parser.add_argument("--srtp", action="store_true", help="nothing but SRTP, with keys in SDP")
    parser.add_argument("--prack", action="store_true", help="nothing but reliable provisional responses")
    parser.add_argument("--log", default="")
    parser.add_argument("--verbose", type=int, default=4)
    phone = Phone(parser.parse_args())
    phone.run()
    phone.close()
    sys.stdout.flush()
    # pjsip's own shutdown waits for transactions; nothing here depends on it.
    os._exit(0)


if __name__ == "__main__":
    main()
