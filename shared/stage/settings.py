"""
Settings of the stage runtimes, section `stage`: the same names in every stage process.
"""

from pydantic import Field

from shared.settings import Section
from shared.stage.progress import SPAN_MAX


class StageSettings(Section):
    """Limits and paces of a stage; every queue, retry and wait of the runtimes is bounded by one of these."""

    in_flight_max: int = Field(
        2_000, gt=0, description="records worked on at once in this process; tenants whose records wait take turns"
    )
    read_ahead_max: int = Field(
        4_000,
        ge=0,
        description="records read beyond these, so that other tenants' are found behind a flood of one tenant",
    )
    fetch_records_max: int = Field(500, gt=0, description="records taken from the client at once")
    fetch_wait_seconds: float = Field(0.2, gt=0, description="how long a fetch waits when there is nothing to read")
    span_max: int = Field(
        SPAN_MAX, gt=0, le=SPAN_MAX, description="offsets between the oldest record under way and the newest one begun"
    )
    commit_interval_seconds: float = Field(
        0.05, ge=0, description="the least time between two commits of progress; a crash repeats what it left out"
    )
    # A turn's own deadline ends its attempts; eight were over before the model stages' patience (20 s and more) was.
    retry_attempts_max: int = Field(32, gt=0, description="attempts at one record before it is given up")
    # Once more, as a race may not come again; what is deterministic costs its model calls a second time.
    unexpected_attempts_max: int = Field(
        2, gt=0, description="attempts at one record that end in an unexpected error before it is given up"
    )
    retry_wait_seconds: float = Field(
        0.25, gt=0, description="the first wait between attempts; it doubles, with jitter"
    )
    retry_wait_max_seconds: float = Field(10.0, gt=0, description="it doubles no further than this")
    restarts_max: int = Field(
        5,
        ge=0,
        description="unexpected errors within `restarts_window_seconds` that close a task before the process gives up",
    )
    restarts_window_seconds: float = Field(60.0, gt=0, description="the past that restarts are counted in")
    drain_seconds: float = Field(20.0, ge=0, description="how long work under way may go on after SIGTERM")
    dead_letters_per_second: float = Field(
        200.0,
        gt=0,
        description="records of one topic, in this process, that may be rejected a second, after a burst of ten "
        "seconds' worth; beyond it that topic is read more slowly",
    )
    tenant_topic_rejected_consecutive_max: int = Field(
        50, gt=0, description="records rejected in a row that pause a tenant's own topic in a partition"
    )
    tenant_topic_rejected_ratio_max: float = Field(
        0.2,
        gt=0,
        le=1,
        description="share of records rejected among the last `tenant_topic_rejected_window_records` that pauses a "
        "tenant's own topic in a partition",
    )
    tenant_topic_rejected_window_records: int = Field(1_000, gt=0, description="the past that the share is taken of")
    ledger_pause_seconds: float = Field(
        0.005, ge=0, description="the least time between two transactions of a task; see shared/stage/ledger_task.py"
    )
    ledger_idle_commit_seconds: float = Field(
        1.0, ge=0, description="how long offsets wait for a transaction when nothing else goes with them"
    )
    ledger_group_records_max: int = Field(500, gt=0, description="inputs of a task that commit in one transaction")
    ledger_group_bytes_max: int = Field(
        4 * 1_048_576, gt=0, description="bytes of inputs, outputs and states in one transaction, about"
    )
    ledger_cache_bytes_max: int = Field(
        16 * 1_048_576, ge=0, description="encoded bytes of the states that a task keeps decoded"
    )
    ledger_openings_max: int = Field(4, gt=0, description="tasks that are fenced and restored at the same time")
    ledger_takeover_wait_seconds: float = Field(
        1.0, ge=0, description="the wait before a task is opened again that another process took over; it doubles"
    )
    ledger_unreadable_wait_seconds: float = Field(
        60.0, gt=0, description="the wait before a task is opened again whose changelog cannot be decoded"
    )
    ledger_close_seconds: float = Field(5.0, gt=0, description="how long a task's producer may take to stop")
    epochs_remembered_max: int = Field(
        100_000, gt=0, description="conversations whose newest turn a stage remembers, the least recent forgotten first"
    )
    turns_remembered_max: int = Field(
        50_000, gt=0, description="handled turns that a stage recognises when their record is repeated"
    )
