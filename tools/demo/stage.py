"""The stage: the sample configuration on free loopback ports, in a folder of its own."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

REPOSITORY = Path(__file__).parent.parent.parent
CALLER_ADDRESS = "127.0.0.2"
"""The carrier's address: what comes from there is the trunk's call."""
RTP_PORTS = 200


def build(folder: Path) -> Path:
    """Copy ``config/`` and change only what has to be for a demonstration. Returns the configuration's folder."""
    config = folder / "config"
    shutil.copytree(REPOSITORY / "config", config)
    first = _find_free_range(RTP_PORTS)
    with Edited(config / "tandem.yaml") as tandem:
        tandem["flows"] = str(REPOSITORY / "ivr_flows")
        for source in tandem.get("sources", {}).values():
            if "file" in source:
                source["file"] = str((REPOSITORY / "config" / source["file"]).resolve())
        for listener in tandem["sip"]["listeners"].values():
            listener["address"], listener["port"] = "127.0.0.1", 0
        tandem["rtp"] = {"address": "127.0.0.1", "port_min": first, "port_max": first + RTP_PORTS}
        tandem["http"] = {"address": "127.0.0.1", "port": 0}
    with Edited(config / "trunks.yaml") as trunks:
        carrier = trunks["trunks"]["carrier-a"]
        carrier["host"], carrier["networks"] = CALLER_ADDRESS, [f"{CALLER_ADDRESS}/32"]
        carrier["port"] = _find_free_port(CALLER_ADDRESS)
        carrier["health"] = {"interval": "0s"}
    with Edited(config / "calendars.yaml") as calendars:
        office = calendars["calendars"]["office"]
        for key in ("public_holidays", "holidays", "special"):
            office.pop(key, None)
        office["hours"] = {"daily": "open"}
    with Edited(config / "queues.yaml") as queues:
        support = queues["queues"]["support"]
        support["announcements"] = {"position": True, "first_after": "1s", "interval": "30s"}
        support.pop("greeting", None)
    return config


class Edited:
    """A YAML file as data, written back at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._yaml = YAML()

    def __enter__(self) -> Any:
        self._data = self._yaml.load(self._path)
        return self._data

    def __exit__(self, *_: object) -> None:
        with self._path.open("w", encoding="utf-8") as file:
            self._yaml.dump(self._data, file)


def _find_free_port(address: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def _find_free_range(count: int) -> int:
    """First of ``count`` UDP ports that nobody uses now."""
    for first in range(30000, 60000, count):
        sockets = []
        try:
            for port in range(first, first + count, 25):
                probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                sockets.append(probe)
                probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for probe in sockets:
                probe.close()
    raise OSError("no free UDP ports between 30000 and 60000")
