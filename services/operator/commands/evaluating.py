"""
`holdfast evaluate`: what is evaluated. Without a name it is matching, as files of scenarios say it all.
"""

from typing import Any

from typer import Typer
from typer.core import TyperGroup

from services.operator.commands import evaluate, evaluate_verification

DEFAULT = "matching"


class _MatchingByDefault(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else [DEFAULT, *args])


app = Typer(
    cls=_MatchingByDefault, help="Judge a live model by labels: `matching` (if nothing is named) or `verification`."
)
app.command(DEFAULT)(evaluate.command)
app.command("verification")(evaluate_verification.command)
