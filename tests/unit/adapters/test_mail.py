"""E-mail handed to a mail server: with its attachment, tried again where that helps, without telling credentials."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from pbx.adapters.flow_services import FlowServices
from pbx.app.outputs import Notify
from pbx.config.services import Fetching, Notices
from tests.letterbox import Letterbox, open_letterbox

SECRET = "hunter2-secret"


class Desk:
    """The services with a clock that does not wait, and what they told."""

    def __init__(self, port: int, **smtp: Any) -> None:
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.slept: list[float] = []
        notices = Notices.model_validate(
            {
                "attempts": 3,
                "timeout": "5s",
                "smtp": {"host": "127.0.0.1", "port": port, "security": "none", "sender": "pbx@example.com", **smtp},
            }
        )
        self.services = FlowServices(
            Fetching(),
            {},
            notices,
            {},
            answer=lambda call, event: None,
            tell=lambda level, text, details: self.told.append((level, text, details)),
            reveal=lambda source: SECRET,
            clock=lambda: 0.0,
            wall=lambda: 1_800_000_000.0,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def send(self, attachment: str = "", subject: str = "语音留言 1") -> None:
        self.services.handle(Notify("email", "li@example.com", "您有留言。", subject, attachment))
        for task in list(self.services._tasks):
            await task
        await self.services.close()


async def test_a_mail_with_a_message(tmp_path: Path) -> None:
    sound = tmp_path / "vm-1.wav"
    sound.write_bytes(b"RIFF....WAVE")
    async with open_letterbox() as box:
        desk = Desk(box.port)
        await desk.send(str(sound))
    (mail,) = box.mails
    assert (mail["From"], mail["To"], mail["Subject"]) == ("pbx@example.com", "li@example.com", "语音留言 1")
    assert mail["Date"].datetime.timestamp() == 1_800_000_000
    assert mail["Message-ID"].endswith("@example.com>")
    body = mail.get_body()
    assert body is not None
    assert body.get_content().strip() == "您有留言。"
    (attached,) = mail.iter_attachments()
    assert (attached.get_filename(), attached.get_content()) == ("vm-1.wav", b"RIFF....WAVE")
    assert desk.told == []


async def test_a_server_that_is_busy_is_asked_again() -> None:
    async with open_letterbox("451 later", "452 later") as box:
        desk = Desk(box.port)
        await desk.send()
    assert (len(box.mails), desk.slept, desk.told) == (1, [2.0, 4.0], [])


async def test_tries_are_bounded() -> None:
    async with open_letterbox(*["451 later"] * 9) as box:
        desk = Desk(box.port)
        await desk.send()
    assert (box.tries, len(box.mails)) == (3, 0)
    assert [level for level, _, _ in desk.told] == ["error"]


async def test_a_refusal_is_not_tried_again() -> None:
    async with open_letterbox("550 no such user") as box:
        desk = Desk(box.port)
        await desk.send()
    assert (box.tries, desk.slept) == (1, [])
    ((_, text, details),) = desk.told
    assert (text, details["reason"]) == ("an e-mail could not be sent", "the mail server refuses the mail (550)")


async def test_a_server_that_cannot_encrypt_gets_no_password() -> None:
    box: Letterbox
    async with open_letterbox() as box:
        desk = Desk(box.port, security="starttls", user="pbx", password={"env": "MAIL"})
        await desk.send()
    assert box.mails == []
    assert desk.told
    assert SECRET not in repr(desk.told)


async def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        desk = Desk(unused.getsockname()[1])
        await desk.send()
    assert "ConnectionRefusedError" in desk.told[0][2]["reason"]


async def test_a_message_deleted_meanwhile_is_nothing_to_tell(tmp_path: Path) -> None:
    async with open_letterbox() as box:
        desk = Desk(box.port)
        await desk.send(str(tmp_path / "gone.wav"))
    assert (box.mails, desk.told) == ([], [])


async def test_a_line_break_makes_no_further_header() -> None:
    async with open_letterbox() as box:
        desk = Desk(box.port)
        await desk.send(subject="from 1\r\nBcc: all@example.com")
    assert box.mails == []
    assert len(desk.told) == 1


@pytest.mark.parametrize(
    ("notices", "words"),
    [
        ({"smtp": {"host": "a", "sender": "a@b", "user": "u"}}, "belong together"),
        (
            {"smtp": {"host": "a", "sender": "a@b", "user": "u", "password": {"env": "M"}, "security": "none"}},
            "in the clear",
        ),
        ({"smtp": {"host": "a", "sender": "a@b"}, "email": {"url": "https://x.test/"}}, "two ways"),
    ],
)
def test_configurations_that_cannot_be_meant(notices: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Notices.model_validate(notices)
