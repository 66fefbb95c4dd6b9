"""
The tool world as a process: `python -m services.operator.toolworld --port 8092`; ends on SIGTERM or SIGINT.
"""

import typer

from services.operator.commands.toolworld import command

if __name__ == "__main__":
    typer.run(command)
