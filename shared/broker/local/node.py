"""One node as an operating system process, found again by its pid file from any process."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Literal

import psutil

from shared.errors import Fatal

FORMAT_SECONDS_MAX = 60.0
STARTED_TOLERANCE_SECONDS = 1.0
LOG_LINES = 25

State = Literal["running", "paused", "stopped"]


class Node:
    """
    A node's folder, and its process where it runs.

    The pid file holds the process's start time too, so that a pid that was given to another process is never signalled.
    """

    def __init__(self, number: int, folder: Path, *, heap_mib: int) -> None:
        self.number = number
        self.folder = folder
        self._heap_mib = heap_mib
        self._child: int | None = None

    @property
    def state(self) -> State:
        """Does it run?"""
        process = self.process()
        if process is None:
            return "stopped"
        return "paused" if process.status() == psutil.STATUS_STOPPED else "running"

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        process = self.process()
        return None if process is None else process.pid

    def process(self) -> psutil.Process | None:
        """The running process that the pid file speaks of."""
        self._reap()
        try:
            known = json.loads((self.folder / "pid").read_text(encoding="utf-8"))
            process = psutil.Process(known["pid"])
            same = abs(process.create_time() - known["started"]) < STARTED_TOLERANCE_SECONDS
            return process if same and not _is_dead(process) else None
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            return None

    def format(self, jars: Path, cluster_id: str) -> None:
        """
        Prepare the data folder, once.

        Raises:
            Fatal: the tool refused; the message holds what it said.

        """
        if (self.folder / "data" / "meta.properties").exists():
            return
        command = [*_java(jars, 128), "kafka.tools.StorageTool", "format"]
        command += ["--cluster-id", cluster_id, "--config", str(self.folder / "server.properties")]
        done = subprocess.run(  # noqa: S603 - Java, by its full path
            command, capture_output=True, text=True, timeout=FORMAT_SECONDS_MAX, check=False
        )
        if done.returncode != 0:
            raise Fatal(f"node {self.number} could not be formatted: {_explained(done.stdout + done.stderr)}")

    def launch(self, jars: Path) -> None:
        """Start the process; it lives on when this one ends."""
        log4j = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        command = [*_java(jars, self._heap_mib, log4j), "kafka.Kafka", str(self.folder / "server.properties")]
        # Not subprocess.Popen, which takes a child that outlives it for an oversight, and warns.
        self._child = os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, self.folder / "out.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigdef=[signal.SIGPIPE],
        )
        started = psutil.Process(self._child).create_time()
        (self.folder / "pid").write_text(json.dumps({"pid": self._child, "started": started}), encoding="utf-8")

    def send(self, signum: signal.Signals) -> bool:
        """Signal the process; False if it does not run."""
        process = self.process()
        if process is None:
            return False
        process.send_signal(signum)
        return True

    def wait_gone(self, seconds: float) -> bool:
        """Wait until the process has ended; False if it has not."""
        until = time.monotonic() + seconds
        while self.process() is not None:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        self._reap()
        (self.folder / "pid").unlink(missing_ok=True)
        return True

    def _reap(self) -> None:
        """Take note of the child's end, if it has ended: until its parent has looked it is a zombie."""
        if self._child is not None:
            try:
                ended, _ = os.waitpid(self._child, os.WNOHANG)
            except ChildProcessError:  # somebody else has looked
                ended = self._child
            if ended:
                self._child = None

    def log_tail(self) -> str:
        """The end of what the node wrote."""
        return _explained("".join(_read(self.folder / name) for name in ("server.log", "out.log")))


def _java(jars: Path, heap_mib: int, *options: str) -> list[str]:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if java is None:
        raise Fatal("Apache Kafka needs Java 17 or later, but no `java` is on the PATH; install it or set JAVA_HOME")
    memory = [f"-Xms{min(heap_mib, 256)}m", f"-Xmx{heap_mib}m", "-XX:+ExitOnOutOfMemoryError"]
    return [java, *memory, "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", *options, "-cp", f"{jars}/*"]


def _is_dead(process: psutil.Process) -> bool:
    """A killed JVM is a zombie before its last thread has gone, and until then its ports are taken."""
    return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _explained(said: str) -> str:
    tail = "\n".join(said.strip().splitlines()[-LOG_LINES:])
    if "UnsupportedClassVersionError" in said:
        return f"Apache Kafka 4 needs Java 17 or later; the `java` found is older.\n{tail}"
    return tail
