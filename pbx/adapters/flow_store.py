"""Keeps every version of every flow that was ever in force, by the hash of its content, so that one can go back."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pbx.ivr.flow import Flow
from pbx.ivr.loader import hash_folder, load_flow
from pbx.ivr.outage import FILE as OUTAGE_FILE

_MANIFEST = ".version.json"


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """One version of a flow in the store."""

    flow: str
    version: str
    at: float
    """When it was first kept, seconds since 1970 UTC."""
    folder: Path

    @property
    def announced(self) -> bool:
        """Whether an outage announcement stood in front of it."""
        return (self.folder / OUTAGE_FILE).is_file()


class _Manifest(msgspec.Struct):
    version: str
    at: float


class FlowStore:
    """A folder with one folder per flow and version. What is kept never changes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, flow: Flow, at: float) -> KeptVersion:
        """Copy the flow's folder, unless this version is kept already. Raises OSError."""
        target = self._root / flow.name / flow.version
        if (target / _MANIFEST).is_file():
            return self._read(flow.name, target)
        building = target.with_name(f".{flow.version}.new")
        shutil.rmtree(building, ignore_errors=True)
        shutil.copytree(flow.folder, building)
        (building / _MANIFEST).write_bytes(msgspec.json.encode(_Manifest(flow.version, at)))
        os.replace(building, target)
        return self._read(flow.name, target)

    def list(self, flow: str) -> list[KeptVersion]:
        """The kept versions of a flow, newest first."""
        folders = (self._root / flow).glob(f"*/{_MANIFEST}")
        return sorted((self._read(flow, file.parent) for file in folders), key=lambda kept: kept.at, reverse=True)

    def find(self, flow: str, version: str) -> KeptVersion | None:
        """A version by its hash or the beginning of it; None when there is none or more than one."""
        found = [kept for kept in self.list(flow) if kept.version.startswith(version)]
        return found[0] if len(found) == 1 else None

    def find_before(self, flow: Flow) -> KeptVersion | None:
        """The newest version kept before that of ``flow``. Announcements in front make no version of their own here."""
        text = (Path(flow.folder) / "flow.yaml").read_text("utf-8")
        own = hash_folder(Path(flow.folder), text, announced=False)
        kept = self.list(flow.name)
        since = min((entry.at for entry in kept if entry.version in (own, flow.version)), default=math.inf)
        earlier = (entry for entry in kept if not entry.announced and entry.version != own and entry.at < since)
        return next(earlier, None)

    def load(self, kept: KeptVersion) -> Flow | None:
        """The flow of a kept version, for a call that began with it; None if it cannot be read any more."""
        flow, _ = load_flow(kept.folder)
        return flow

    def restore(self, kept: KeptVersion, folder: Path) -> None:
        """Put a kept version in the place of a flow's folder, in one step; an announcement that stands in front, or
        none, stays as it is. Raises OSError."""
        building = folder.with_name(f".{folder.name}.new")
        old = folder.with_name(f".{folder.name}.old")
        for leftover in (building, old):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.copytree(kept.folder, building, ignore=shutil.ignore_patterns(_MANIFEST, OUTAGE_FILE))
        if (folder / OUTAGE_FILE).is_file():
            shutil.copy2(folder / OUTAGE_FILE, building / OUTAGE_FILE)
        if folder.exists():
            os.replace(folder, old)
        os.replace(building, folder)
        shutil.rmtree(old, ignore_errors=True)

    def _read(self, flow: str, folder: Path) -> KeptVersion:
        manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=_Manifest)
        return KeptVersion(flow, manifest.version, manifest.at, folder)
