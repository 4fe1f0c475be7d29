"""Which media address a peer is told."""

import pytest

from pbx.app.settings import Settings
from pbx.config.model import Configuration


def make(sip: object = None, rtp: object = None) -> Settings:
    sources = {"10.0.0.7": "10.0.0.1", "198.51.100.9": "192.168.1.2", "fd00::7": "fd00::1"}
    configuration = Configuration.model_validate({"sip": sip or {}, "rtp": rtp or {}})
    return Settings(configuration, reveal=lambda source: "", find_source=lambda peer: sources.get(peer, ""))


EXTERNAL = {"external_address": "203.0.113.10"}


@pytest.mark.parametrize(
    ("settings", "bound", "peer", "told"),
    [
        (make(), "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        (make(), "0.0.0.0", "10.0.0.7", "10.0.0.1"),
        (make(), "0.0.0.0", "198.51.100.9", "192.168.1.2"),
        (make(), "0.0.0.0", "192.0.2.99", "0.0.0.0"),
        (make(), "0.0.0.0", "", "0.0.0.0"),
        (make(), "::", "fd00::7", "fd00::1"),
        (make(EXTERNAL), "0.0.0.0", "10.0.0.7", "10.0.0.1"),
        (make(EXTERNAL), "0.0.0.0", "198.51.100.9", "203.0.113.10"),
        (make(EXTERNAL), "192.168.1.2", "198.51.100.9", "203.0.113.10"),
        (make(EXTERNAL), "192.168.1.2", "10.0.0.7", "192.168.1.2"),
        (make(EXTERNAL), "::", "fd00::7", "fd00::1"),
        (make(EXTERNAL, {"advertised_address": "203.0.113.20"}), "0.0.0.0", "198.51.100.9", "203.0.113.20"),
        (make(EXTERNAL | {"local_networks": ["198.51.100.0/24"]}), "10.0.0.1", "198.51.100.9", "10.0.0.1"),
    ],
)
def test_media_address(settings: Settings, bound: str, peer: str, told: str) -> None:
    assert settings.media_address(bound, peer) == told
