"""
What a ledger stage measures beside what every stage does.
"""

from prometheus_client import CollectorRegistry

from shared.stage.commit_group import CommitGroup
from shared.stage.metrics import StageMetrics

GROUP_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
RESTORE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class LedgerMetrics(StageMetrics):
    """
    The metrics of one ledger stage in one process. `queue` is observed once a fetch and task, of its oldest
    record.
    """

    def __init__(self, registry: CollectorRegistry, stage: str) -> None:
        super().__init__(registry, stage)
        # Keys and bytes of committed state over the tasks owned. They grow with open conversations; a steady rise
        # beyond that is state that nobody deletes.
        self.state_keys = self._gauge("holdfast_ledger_state_keys", "Keys with a state, in the tasks owned.")
        self.state_bytes = self._gauge(
            "holdfast_ledger_state_bytes", "Bytes of keys and encoded states, in the tasks owned."
        )
        # Conversations that are set apart as the ledger failed at them. Any: `holdfast quarantine list`.
        self.quarantined = self._gauge("holdfast_ledger_quarantined", "Keys in quarantine, in the tasks owned.")
        # Tenants' own topics that are not read on in a partition, as too many of their records were rejected. Any:
        # `holdfast inputs list`.
        self.inputs_paused = self._gauge(
            "holdfast_ledger_inputs_paused", "Tenants' own topics paused, each partition counted, in the tasks owned."
        )
        # Keys that wait to be woken.
        self.timers = self._gauge("holdfast_ledger_timers", "Keys with a due time, in the tasks owned.")
        # From the start of an assignment's fencing until its records are read. High: the changelog is long; compact
        # it harder.
        self.restore_duration = self._histogram(
            "holdfast_ledger_restore_duration_seconds", "Fencing and restoring one task.", RESTORE_BUCKETS
        )
        # Inputs a transaction: near its bound, the broker is the bottleneck and group commit is at its end.
        self.group_inputs = self._histogram("holdfast_ledger_group_inputs", "Inputs in one transaction.", GROUP_BUCKETS)
        self.wakes = self._counter("holdfast_ledger_wakes", "Due timers whose effect is committed.")

    def committed(self, group: CommitGroup, seconds: float) -> None:
        """*group* is durable, after a transaction of so many *seconds*."""
        self.commit_duration.observe(seconds)
        self.group_inputs.observe(group.records + group.wakes)
        self.result("done").inc(group.records - len(group.rejected))
        self.result("dead_lettered").inc(len(group.rejected))
        for reason in group.rejected:
            self.dead_letter(reason).inc()
        self.wakes.inc(group.wakes)
        self.last_progress.set_to_current_time()
