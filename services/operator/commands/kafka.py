"""
`holdfast kafka`: a local Apache Kafka without Docker, for development and tests.
"""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.operator import tables
from services.operator.settings import OperatorSettings
from shared.broker.local import DEFAULT_VERSION, LocalKafka
from shared.errors import Fatal
from shared.settings import read_settings

app = typer.Typer(no_args_is_help=True, help="Run a local Apache Kafka (Java and Maven on the machine).")


@app.command()
def up(
    nodes: Annotated[int, typer.Option(help="1, or 3 with three copies of everything")] = 1,
    version: Annotated[str, typer.Option(help="of Apache Kafka")] = DEFAULT_VERSION,
    port: Annotated[int, typer.Option(help="of the first node")] = 9092,
) -> None:
    """
    Lay out, format and start Apache Kafka on loopback; return when every node answers.

    The jars come through Maven once (43 MB) and are kept. What was stored before is kept too; `down --wipe` deletes it.
    """
    console = Console()
    nodes_up = LocalKafka(nodes=nodes, version=version, data=_data(), port_base=port)
    with console.status(f"starting Apache Kafka {version}"):
        nodes_up.up()
    console.print(
        f"Apache Kafka {version} is up: [bold]HOLDFAST_KAFKA_BOOTSTRAP_SERVERS={nodes_up.bootstrap_servers}[/]"
    )


@app.command()
def down(wipe: Annotated[bool, typer.Option(help="delete what it stored")] = False) -> None:
    """Stop every node cleanly."""
    console = Console()
    with console.status("stopping Apache Kafka"):
        _found().down(wipe=wipe)
    console.print("stopped" + (" and wiped" if wipe else ""))


@app.command()
def status() -> None:
    """Tell what every node is doing; exits with 1 unless all of them answer."""
    states = _found().status()
    rows = [
        (f"node {state.node}", state.address, state.state, str(state.pid or "–"), "yes" if state.answers else "no")
        for state in states
    ]
    Console().print(tables.figures("Apache Kafka", ("", "address", "state", "pid", "answers"), rows))
    raise typer.Exit(0 if all(state.answers for state in states) else 1)


def _data() -> Path:
    return Path(read_settings(OperatorSettings, os.environ).operator.folder) / "kafka"


def _found() -> LocalKafka:
    found = LocalKafka.found(_data())
    if found is None:
        raise Fatal(f"no Apache Kafka was laid out under {_data()}; `holdfast kafka up` does it")
    return found
