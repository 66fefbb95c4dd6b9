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
from shared.broker.local import LocalKafka
from shared.settings import read_settings

app = typer.Typer(no_args_is_help=True, help="Run a local Apache Kafka (Java and Maven on the machine).")

Nodes = Annotated[int, typer.Option(help="1, or 3 with replication", min=1, max=3)]
