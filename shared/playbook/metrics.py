"""
What following the playbooks tells of itself; every service that follows them exports it.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge


class FollowerMetrics:
    """The metrics of a `PlaybookFollower`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # published, retired, head, withdrawn; `refused_…` with the reason. Any refused: somebody publishes past the
        # checks.
        self.records = Counter(
            "holdfast_playbook_records", "Records of the playbooks topic, by result.", ["result"], registry=registry
        )
        # Kept versions, old ones included. Grows without end: publishers do not retire.
        self.versions = Gauge("holdfast_playbook_versions", "Playbook versions held.", registry=registry)
        # Differs between processes for longer than seconds: one of them does not follow.
        self.in_force = Gauge("holdfast_playbooks_in_force", "Agents with a playbook in force.", registry=registry)
        # Rises while the broker is away; what is known stays in force.
        self.interruptions = Counter(
            "holdfast_playbook_interruptions", "Times that following the topic broke off.", registry=registry
        )
