"""A pjsip user agent that registers over one transport, says the result code, and unregisters.

python pjsua_register.py udp|tcp|tls PORT USER PASSWORD
"""

from __future__ import annotations

import sys

import pjsua2 as pj

KINDS = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}


class Account(pj.Account):  # type: ignore[misc]
    code = 0

    def onRegState(self, prm: pj.OnRegStateParam) -> None:
        self.code = int(prm.code)


def main(transport: str, port: str, user: str, password: str) -> int:
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    settings = pj.EpConfig()
    settings.logConfig.level = settings.logConfig.consoleLevel = 0
    settings.uaConfig.userAgent = f"pjsua2-{transport}"
    endpoint.libInit(settings)
    endpoint.transportCreate(KINDS[transport], pj.TransportConfig())
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    config = pj.AccountConfig()
    config.idUri = f"sip:{user}@tandem"
    config.regConfig.registrarUri = f"sip:127.0.0.1:{port};transport={transport}"
    config.sipConfig.proxies.append(f"sip:127.0.0.1:{port};transport={transport};lr")
    config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
    account = Account()
    account.create(config)
    for _ in range(200):
        endpoint.libHandleEvents(50)
        if account.code:
            break
    sys.stdout.write(f"code {account.code}\n")
    sys.stdout.flush()
    sys.stdin.readline()
    account.code = 0
    account.setRegistration(False)
    for _ in range(100):
        endpoint.libHandleEvents(50)
        if account.code:
            break
    endpoint.libDestroy()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
