"""A PostgreSQL of the tests' own: a throw-away cluster in a temporary folder on a free port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import psycopg


class Postgres:
    """Runs as the user ``postgres`` where the tests run as root: the server refuses to be root."""

    def __init__(self, folder: Path) -> None:
        self._bin = find_binaries()
        self._folder = folder / "data"
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        folder.chmod(0o755)
        self._folder.mkdir(mode=0o700)
        if self._as:
            shutil.chown(self._folder, "postgres", "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-U", "tandem", "-A", "trust", "-E", "UTF8", "--no-sync", "-D", str(self._folder))
        settings = f"port = {self.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
        with (self._folder / "postgresql.conf").open("a") as conf:
            conf.write(settings + "max_connections = 40\nfsync = off\nshared_buffers = 16MB\n")
        self._databases = 0

    def create_database(self) -> str:
        """URL of a fresh, empty database."""
        self._databases += 1
        name = f"t{self._databases}"
        with psycopg.connect(f"host=127.0.0.1 port={self.port} user=tandem dbname=postgres", autocommit=True) as c:
            c.execute(f"CREATE DATABASE {name}")
        return f"postgresql://tandem@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self._folder), "-w", "-t", "30", "-l", str(self._folder / "log"), "start")

    def stop(self) -> None:
        """At once, as if it had crashed."""
        self._run("pg_ctl", "-D", str(self._folder), "-w", "-m", "immediate", "stop")

    def freeze(self, frozen: bool) -> None:
        """Stop it answering without closing a connection, or let it go on."""
        pids = [int((self._folder / "postmaster.pid").read_text().split()[0])]
        for children in Path(f"/proc/{pids[0]}/task").glob("*/children"):
            pids += [int(pid) for pid in children.read_text().split()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    def _run(self, program: str, *args: str) -> None:
        done = subprocess.run(
            [*self._as, str(self._bin / program), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")


def find_binaries() -> Path:
    """The newest PostgreSQL of this machine. Raises RuntimeError saying what to install."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("PostgreSQL is not installed: run tools/install-apt.sh test")
    return found[-1].parent
