"""
The metrics of the stage runtimes: what each one means and what to do about it.

Names follow Prometheus' conventions and OpenTelemetry's messaging conventions. No label is a tenant, a conversation or
an id.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# A model call may last a minute: the client's default buckets end at ten seconds.
WORK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80)
BROKER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
DEPTH_BUCKETS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)

_MESSAGING = ("messaging_system", "messaging_consumer_group_name", "messaging_destination_name")


class UnexpectedMetrics:
    """The errors that nobody foresaw in one process, for one that has no stage of these runtimes, too."""

    def __init__(self, registry: CollectorRegistry, stage: str) -> None:
        self._stage = stage
        # By the step that met them. Any: see the log's traceback.
        self._errors = Counter(
            "holdfast_unexpected_errors", "Unexpected errors, by step.", ("stage", "during"), registry=registry
        )

    def unexpected(self, during: str) -> Counter:
        """`holdfast_unexpected_errors_total` of a step, a bounded word."""
        return self._errors.labels(self._stage, during)


class StageMetrics:
    """
    The metrics of one stage in one process; *stage* is the service's name and the value of the label `stage`.

    Attributes are ready to be observed, set or incremented; methods choose a label first.
    """

    def __init__(self, registry: CollectorRegistry, stage: str) -> None:
        self.stage = stage
        self._registry = registry

        # Time from the start of a record's handling until its outputs are acknowledged, retries included.
        # High: the model or the broker is slow; compare gen_ai_client_operation_duration_seconds.
        self._process_duration = Histogram(
            "messaging_process_duration_seconds",
            "Handling of one record, until its outputs are acknowledged.",
            _MESSAGING,
            buckets=WORK_BUCKETS,
            registry=registry,
        )
        # Records read. Flat while there is lag: the stage is held by backpressure, or is out of its group.
        self._consumed = Counter("messaging_client_consumed_messages", "Records read.", _MESSAGING, registry=registry)
        # How records ended: done, superseded, expired, duplicate, failed, dead_lettered …
        # Many `expired`: too few processes or too short deadlines. Many `superseded`: customers write faster than the
        # stage.
        self._results = Counter("holdfast_stage_events", "Records, by result.", ("stage", "result"), registry=registry)
        # Records that could not be handled. Any: read dead.letters, mend the cause, drive them again.
        self._dead_letters = Counter(
            "holdfast_dlq_records", "Records written to dead.letters.", ("stage", "reason"), registry=registry
        )
        # Records that were gone before the stage read them. Any: the stage was down for longer than retention keeps.
        self._lost = Counter(
            "holdfast_records_lost",
            "Records gone before they were read.",
            ("stage", "messaging_destination_name"),
            registry=registry,
        )
        self._unexpected = UnexpectedMetrics(registry, stage)
        # assigned, revoked, and lost (a task closed after an error). More than six in ten minutes: processes come and
        # go, or the loop is blocked for longer than the session timeout.
        self._rebalances = Counter("holdfast_rebalances", "Changes of ownership.", ("stage", "kind"), registry=registry)

        # The stage's own work on a record, without waiting and without the broker.
        self.duration = self._histogram("holdfast_stage_duration_seconds", "Work on one record.", WORK_BUCKETS)
        # From a record's timestamp to the start of its handling. High: add processes, up to the number of partitions.
        self.queue = self._histogram("holdfast_stage_queue_seconds", "Wait before a record's handling.", WORK_BUCKETS)
        # Age of the turn when the stage takes it up: the lag that customers feel. Alert and scale on this, not on
        # offsets.
        self.age = self._histogram("holdfast_event_age_seconds", "Age of an event when taken up.", WORK_BUCKETS)
        # Records of the same key before one that joins. High: one conversation floods; limit it at the platform.
        self.key_queue_depth = self._histogram(
            "holdfast_key_queue_depth", "Records before one of its key.", DEPTH_BUCKETS
        )
        # A commit of progress, or a ledger's transaction. High: the brokers are slow, or replicas lag.
        self.commit_duration = self._histogram(
            "holdfast_commit_duration_seconds", "Commit of progress.", BROKER_BUCKETS
        )

        # Records read and not done. At `in_flight_max`: saturated; raise it if memory and the model allow, or add
        # processes.
        self.in_flight = self._gauge("holdfast_inflight_events", "Records read and not yet done.")
        # Unix seconds of the last committed progress. Old while there is lag: stuck; the log says on what.
        self.last_progress = self._gauge(
            "holdfast_last_progress_timestamp_seconds", "When progress was last committed."
        )

        # How far the clock is ahead of the ledger's, as a fresh turn tells. Beyond seconds: set the clocks right.
        self.clock_lead = self._gauge("holdfast_clock_lead_seconds", "How far the clock is ahead of the ledger's.")

        # Repeated inputs that cost nothing. Rises after kills and rebalances; steady: a producer repeats itself.
        self.dedupe_hits = self._counter("holdfast_dedupe_hits", "Repeated inputs recognised.")
        # Attempts put off by a passing error. Steady: a dependency is overloaded or away.
        self.retries = self._counter("holdfast_stage_retries", "Attempts that were put off.")

        self._consumed_of: dict[str, Counter] = {}
        self._process_duration_of: dict[str, Histogram] = {}

    def consumed(self, topic: str) -> Counter:
        """`messaging_client_consumed_messages_total` of *topic*."""
        if topic not in self._consumed_of:
            self._consumed_of[topic] = self._consumed.labels("kafka", self.stage, topic)
        return self._consumed_of[topic]

    def process_duration(self, topic: str) -> Histogram:
        """`messaging_process_duration_seconds` of *topic*."""
        if topic not in self._process_duration_of:
            self._process_duration_of[topic] = self._process_duration.labels("kafka", self.stage, topic)
        return self._process_duration_of[topic]

    def result(self, result: str) -> Counter:
        """`holdfast_stage_events_total` of *result*, a bounded word."""
        return self._results.labels(self.stage, result)

    def dead_letter(self, reason: str) -> Counter:
        """`holdfast_dlq_records_total` of *reason*, as `Invalid.reason` bounds it."""
        return self._dead_letters.labels(self.stage, reason)

    def lost(self, topic: str) -> Counter:
        """`holdfast_records_lost_total` of *topic*."""
        return self._lost.labels(self.stage, topic)

    def unexpected(self, during: str) -> Counter:
        """`holdfast_unexpected_errors_total` of a step, a bounded word."""
        return self._unexpected.unexpected(during)

    def rebalance(self, kind: str) -> Counter:
        """`holdfast_rebalances_total` of *kind*: `assigned`, `revoked` or `lost`."""
        return self._rebalances.labels(self.stage, kind)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, ("stage",), buckets=buckets, registry=self._registry).labels(self.stage)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, ("stage",), registry=self._registry).labels(self.stage)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, ("stage",), registry=self._registry).labels(self.stage)
