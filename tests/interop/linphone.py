"""linphone's console phone in a process of its own: speaks a WAV file, records what it hears, does what it is told."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from tools.phones import end, write_tone

LIMIT = 15.0


class Linphone:
    """``async with Linphone(folder, user, password, registrar, hz)``: registered, and obeys :meth:`do`.

    ``registrar`` is a SIP URI. ``srtp``: nothing but SRTP with keys in SDP. ``info``: digits go in INFO.
    """

    def __init__(self, folder: Path, user: str, password: str, registrar: str, hz: float, *, transport: str = "udp",
                 srtp: bool = False, info: bool = False, authorities: Path | None = None) -> None:  # fmt: skip
        assert shutil.which("linphonec"), "linphone is missing: apt-get install linphone-cli, or make apt"
        self.folder = folder / f"linphone-{user}"
        self.folder.mkdir()
        self.user = user
        host = registrar.partition(":")[2].rpartition("@")[2]
        self._rc = self.folder / "linphonerc"
        # -1: any free port; 0: not at all.
        ports = {name: -1 if name == transport else 0 for name in ("udp", "tcp", "tls")}
        codecs = "".join(
            f"[audio_codec_{index}]\nmime={mime}\nrate={rate}\nchannels=1\nenabled={enabled}\n"
            for index, (mime, rate, enabled) in enumerate(
                [("PCMA", 8000, 1), ("PCMU", 8000, 1), ("opus", 48000, 0), ("speex", 16000, 0), ("speex", 8000, 0),
                 ("G729", 8000, 0)]
            )
        )  # fmt: skip
        self._rc.write_text(
            f"[sip]\nsip_port={ports['udp']}\nsip_tcp_port={ports['tcp']}\nsip_tls_port={ports['tls']}\n"
            "bind_address=127.0.0.1\nuse_ipv6=0\nguess_hostname=1\ndefault_proxy=0\n"
            f"media_encryption={'srtp' if srtp else 'none'}\nmedia_encryption_mandatory={int(srtp)}\n"
            f"use_info={int(info)}\nuse_rfc2833={int(not info)}\n"
            + (f"root_ca={authorities}\n" if authorities else "")
            # Its TLS library knows no addresses in certificates, only names: the authority is checked, the name is not.
            + "verify_server_certs=1\nverify_server_cn=0\n"
            "[rtp]\nbind_address=127.0.0.1\naudio_rtp_port=-1\nvideo_rtp_port=-1\ntext_rtp_port=-1\n[sound]\nec=0\n"
            f"[proxy_0]\nreg_proxy=<sip:{host};transport={transport}>\nreg_identity=sip:{user}@{host.partition(':')[0]}\n"
            "reg_expires=600\nreg_sendregister=1\npublish=0\n"
            f"[auth_info_0]\nusername={user}\npasswd={password}\nrealm=tandem\n" + codecs
        )
        write_tone(self.folder / "tone.wav", hz, seconds=20)
        self.heard = self.folder / "heard.wav"
        self._said = ""
        self._changed = asyncio.Condition()
        self._process: asyncio.subprocess.Process
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Linphone:
        (self.folder / ".local/share/linphone").mkdir(parents=True)
        (self.folder / ".config").mkdir()
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            "linphonec", "-c", str(self._rc),
            stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, cwd=self.folder,
            env=os.environ | {"HOME": str(self.folder), "LANG": "C", "TERM": "dumb"},
        )  # fmt: skip
        self._reader = asyncio.get_running_loop().create_task(self._read())
        self.do("soundcard use files")
        self.do(f"play {self.folder / 'tone.wav'}")
        self.do(f"record {self.heard}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._process, lambda: self.do("quit"), self._reader)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(4096):
            async with self._changed:
                self._said += chunk.decode(errors="replace")
                self._changed.notify_all()

    def do(self, command: str) -> None:
        """One line of its console: ``call``, ``answer``, ``pause``, ``resume``, ``transfer``, ``terminate``; digits."""
        assert self._process.stdin is not None
        self._process.stdin.write(command.encode() + b"\n")

    @property
    def mark(self) -> int:
        """How much it has said so far, for :meth:`wait`."""
        return len(self._said)

    async def wait(self, text: str, *, after: int = 0) -> None:
        """Until it has said this."""
        try:
            async with asyncio.timeout(LIMIT), self._changed:
                await self._changed.wait_for(lambda: text in self._said[after:])
        except TimeoutError:
            raise AssertionError(f"linphone did not say {text!r}; it said:\n{self._said[-3000:]}") from None
