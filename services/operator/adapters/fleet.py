"""
The service processes that the operator starts, watches, kills and stops: real processes, as a cluster would run them.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from shared.broker.local import free_port_base

STOP_SECONDS_MAX = 40.0
"""How long a process may take to drain after SIGTERM before it is killed; longer than any drain budget."""


@dataclass(slots=True)
class Member:
    """One process of the fleet: what it runs, and the process that runs it now."""

    name: str
    module: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None
    starts: int = 0
    _spent_cpu_seconds: float = 0.0

    async def start(self) -> None:
        """Start the process; its output goes to the end of its log."""
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # the folder that the operator stands in may hold packages of our names
                "-m",
                "services.operator.bound",
                str(os.getpid()),
                self.module,
                *self.arguments,
                env={**os.environ, **self.environ},
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is the operator's to pass on, once, as SIGTERM
            )
        self.starts += 1

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        if self.process is not None and self.alive:
            self._spent_cpu_seconds = self.cpu_seconds()
            self.process.send_signal(number)

    async def wait(self) -> int:
        """The process's exit code; 0 if it was never started."""
        return await self.process.wait() if self.process is not None else 0

    def cpu_seconds(self) -> float:
        """CPU that the running process has used, user and system."""
        if self.process is None or not self.alive:
            return self._spent_cpu_seconds
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def resident_bytes(self) -> int:
        """Memory that the running process holds."""
        return int(psutil.Process(self.process.pid).memory_info().rss) if self.process and self.alive else 0

    def log_tail(self, lines: int = 15) -> str:
        """The end of the process's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


@dataclass(slots=True)
class Fleet:
    """Processes with a common environment and a folder for their logs."""

    folder: Path
    environ: Mapping[str, str]
    members: dict[str, Member] = field(default_factory=dict)

    async def start(self, name: str, module: str, *arguments: str, **environ: str) -> Member:
        """Start `python -m module arguments` under *name*, with its own telemetry port."""
        self.folder.mkdir(parents=True, exist_ok=True)
        own = {"HOLDFAST_TELEMETRY_PORT": str(free_port_base())} | environ
        member = Member(name, module, arguments, {**self.environ, **own}, self.folder / f"{name}.log")
        self.members[name] = member
        await member.start()
        return member

    def fallen(self) -> list[Member]:
        """Members whose process has ended."""
        return [member for member in self.members.values() if not member.alive]

    async def stop(self) -> dict[str, int]:
        """Stop every member with SIGTERM, those that do not drain in time with SIGKILL; exit codes by name."""
        for member in self.members.values():
            member.send(signal.SIGTERM)
        return dict(
            zip(
                self.members, await asyncio.gather(*(_stopped(member) for member in self.members.values())), strict=True
            )
        )


async def _stopped(member: Member) -> int:
    try:
        return await asyncio.wait_for(member.wait(), STOP_SECONDS_MAX)
    except TimeoutError:
        member.send(signal.SIGKILL)
        return await member.wait()
