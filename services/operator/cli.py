"""
The `holdfast` command: its verbs, and nothing else.
"""

import typer

from services.operator.commands import (
    approve,
    bench,
    chaos,
    demo,
    dlq,
    erase,
    evaluating,
    feed,
    heartbeat,
    inputs,
    kafka,
    lab,
    plan,
    playbook,
    quarantine,
    replay,
    report,
    say,
    tail,
    toolworld,
    topics,
    trace,
)

app = typer.Typer(
    name="holdfast",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    help="""
    Answers customers on high-volume chat platforms, from Kafka to Kafka.

    Begin with `holdfast demo`. Settings are read from `HOLDFAST_*` (docs/settings.md lists them);
    `HOLDFAST_KAFKA_BOOTSTRAP_SERVERS` names the broker and `HOLDFAST_LLM_URL` the model.

    Exits with 0 when done, 1 where the answer is no, 2 for a wrong command line, wrong settings or something outside
    that is missing, 3 for a fault of its own (the message names the file that has the traceback), 130 at Ctrl-C.
    """,
)

app.command("demo")(demo.command)
app.add_typer(kafka.app, name="kafka")
app.add_typer(topics.app, name="topics")
app.add_typer(playbook.app, name="playbook")
app.command("say")(say.command)
app.command("feed")(feed.command)
app.command("tail")(tail.command)
app.add_typer(approve.app, name="approve")
app.command("heartbeat")(heartbeat.command)
app.add_typer(dlq.app, name="dlq")
app.add_typer(inputs.app, name="inputs")
app.add_typer(quarantine.app, name="quarantine")
app.command("erase")(erase.command)
app.command("trace")(trace.command)
app.command("replay")(replay.command)
app.command("toolworld")(toolworld.command)
app.command("plan")(plan.command)
app.add_typer(report.app, name="report")
app.add_typer(lab.app, name="lab")
app.add_typer(bench.app, name="bench")
app.add_typer(chaos.app, name="chaos")
app.add_typer(evaluating.app, name="evaluate")
