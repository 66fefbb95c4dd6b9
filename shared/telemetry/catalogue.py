"""
Every metric that Holdfast exports: what it means, and what to do when it looks wrong.

The services define their metrics next to the code that moves them; a contract test holds both sides to each other.
`docs/metrics.md` is made of this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram", "info"]

_CALL: Final = (
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
    "server_address",
    "server_port",
)
_BY_POSITION: Final = ("window", "arm", "position")
_MESSAGING: Final = ("messaging_system", "messaging_consumer_group_name", "messaging_destination_name")


@dataclass(frozen=True, slots=True)
class Metric:
    """
    One metric; `name` as exported (a counter ends in `_total`).

    `meaning` says what it measures and what its values mean, `remedy` what to do when it looks wrong.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    remedy: str


LABELS: Final[Mapping[str, str]] = {
    "agrees": "`yes`, `no`",
    "arm": "an experiment's arm; the observer names the largest `arms_max`, then `other`; empty outside experiments",
    "cause": "why a retry was not made: `attempts`, `budget`, `deadline`",
    "correction": "what was done to a segment, a word of the contract",
    "during": "the step that met an error: `handle`, `send`, `observe`, `commit` and the like",
    "error_type": "what failed, a word of shared/llm/errors.py; empty for a success",
    "gen_ai_operation_name": "`chat`",
    "gen_ai_provider_name": "`openai`, `anthropic`",
    "gen_ai_request_model": "the model of the settings",
    "gen_ai_response_model": "what the endpoint calls itself; at most 16 names, then `other`",
    "gen_ai_token_type": "`input`, `output`",
    "kind": "what changed or what was wrong, a bounded word",
    "limit": "what was waited for: `rate`, `place`",
    "messaging_consumer_group_name": "the stage's name",
    "messaging_destination_name": "a topic of the one table",
    "messaging_system": "`kafka`",
    "mode": "the reasoning mode: `direct`, `cot`, `arq`",
    "note": "a remarkable event, a bounded word of the conversations service",
    "outcome": "how a turn ended, a word of the contract",
    "position": "a claim's position in its reply: `1` to `16`, then `17+`",
    "provider": "`openai`, `anthropic`",
    "purpose": "what a model call is for: `match`, `draft`, `verify` and the like",
    "python": "Python's version",
    "quantile": "`0.5`, `0.9`, `0.99`",
    "reason": "why, a bounded snake_case word",
    "result": "how it ended, a bounded word",
    "server_address": "the model endpoint's host",
    "server_port": "the model endpoint's port",
    "service": "the process: `conversations`, `matcher` and the like",
    "stage": "the service's name",
    "status": "what came of a tool call, a word of the contract",
    "tool": "a playbook's tool; the first 64 that a process meets, then `other`",
    "type": "an event type of the contract",
    "verdict": "what checking found, a word of the contract",
    "version": "Holdfast's version",
    "window": "`5m`, `1h`, `1d`: the current minute so far and the whole minutes before it",
}
"""Every label, and what bounds its values: none is a tenant, a conversation, an agent or an id."""

PROCESS: Final = (
    Metric(
        "holdfast_build_info",
        "info",
        ("service", "version", "python"),
        "What runs here; always 1.",
        "Several versions at once outside an upgrade: a roll-out got stuck.",
    ),
    Metric(
        "holdfast_spans_total",
        "counter",
        ("result",),
        "Spans by what became of them, where a collector is set: exported, dropped (the queue was full), failed.",
        "`failed`: the collector is away; nothing else suffers. `dropped`: raise HOLDFAST_TELEMETRY_OTLP_QUEUE_MAX.",
    ),
)

STAGE: Final = (
    Metric(
        "messaging_process_duration_seconds",
        "histogram",
        _MESSAGING,
        "From the start of a record's handling until its outputs are acknowledged, retries included.",
        "High: the model or the brokers are slow; compare gen_ai_client_operation_duration_seconds.",
    ),
    Metric(
        "messaging_client_consumed_messages_total",
        "counter",
        _MESSAGING,
        "Records read.",
        "Flat while there is lag: the stage is held by backpressure, or is out of its group.",
    ),
    Metric(
        "holdfast_stage_events_total",
        "counter",
        ("stage", "result"),
        "Records, by how they ended; `failed`: their turn was given up, and ended with its fallback.",
        "`failed`: the log says why. Many `expired`: add processes or give turns more time. Many `superseded`: "
        "customers outpace the stage.",
    ),
    Metric(
        "holdfast_dlq_records_total",
        "counter",
        ("stage", "reason"),
        "Records that could not be handled and were written to dead.letters.",
        "Any: read the dead letter's headers, mend the cause, drive it again.",
    ),
    Metric(
        "holdfast_records_lost_total",
        "counter",
        ("stage", "messaging_destination_name"),
        "Records that were deleted before the stage read them, by offsets; one, where a topic's log begins anew.",
        "Any: the log names the offsets; raise the topic's retention, or find out who deleted.",
    ),
    Metric(
        "holdfast_unexpected_errors_total",
        "counter",
        ("stage", "during"),
        "Errors that nobody foresaw, by the step that met them; each costs its record, turn or step alone.",
        'Any: read the log\'s traceback; the turns concerned got their fallback (`result="failed"`). Report it.',
    ),
    Metric(
        "holdfast_rebalances_total",
        "counter",
        ("stage", "kind"),
        "Changes of ownership: `assigned`, `revoked`, `lost` (a task closed after an error).",
        "More than six in ten minutes: processes come and go, or the loop blocks for longer than the session timeout.",
    ),
    Metric(
        "holdfast_stage_duration_seconds",
        "histogram",
        ("stage",),
        "The stage's own work on a record, without waiting and without the brokers.",
        "High: a slow model (reasoner, matcher, verifier), or large conversations (conversations).",
    ),
    Metric(
        "holdfast_stage_queue_seconds",
        "histogram",
        ("stage",),
        "From a record's timestamp to the start of its handling.",
        "High: add processes, up to the number of partitions.",
    ),
    Metric(
        "holdfast_event_age_seconds",
        "histogram",
        ("stage",),
        "Age of an event when the stage takes it up: the lag that customers feel.",
        "Alert and scale on this, not on offsets.",
    ),
    Metric(
        "holdfast_clock_lead_seconds",
        "gauge",
        ("stage",),
        "How far this process's clock is ahead of the conversations service's, as the last turn tells that was read as "
        "soon as it was written; up to a second is the way between them, less than nought is behind.",
        "Beyond 5 s either way the stage corrects for it; set the clocks right (NTP), the conversations service's "
        "first: deadlines go by it.",
    ),
    Metric(
        "holdfast_key_queue_depth",
        "histogram",
        ("stage",),
        "Records of the same conversation that wait before one that joins.",
        "High: one conversation floods; limit it at the platform.",
    ),
    Metric(
        "holdfast_commit_duration_seconds",
        "histogram",
        ("stage",),
        "A commit of progress, or a ledger's transaction.",
        "High: the brokers are slow, or replicas lag.",
    ),
    Metric(
        "holdfast_inflight_events",
        "gauge",
        ("stage",),
        "Records read and not yet done.",
        "At its limit: saturated; raise the limit if memory and the model allow, or add processes.",
    ),
    Metric(
        "holdfast_last_progress_timestamp_seconds",
        "gauge",
        ("stage",),
        "Unix time of the last committed progress.",
        "Old while there is lag: stuck; the log says on what.",
    ),
    Metric(
        "holdfast_dedupe_hits_total",
        "counter",
        ("stage",),
        "Repeated inputs that cost nothing.",
        "Rises after kills and rebalances; steady: a producer repeats itself.",
    ),
    Metric(
        "holdfast_stage_retries_total",
        "counter",
        ("stage",),
        "Attempts put off by a passing error.",
        "Steady: a dependency is overloaded or away.",
    ),
)

LEDGER: Final = (
    Metric(
        "holdfast_ledger_state_keys",
        "gauge",
        ("stage",),
        "Keys with a state, in the tasks owned.",
        "A steady rise beyond open conversations: state that nobody deletes.",
    ),
    Metric(
        "holdfast_ledger_state_bytes",
        "gauge",
        ("stage",),
        "Bytes of keys and encoded states, in the tasks owned.",
        "Near the process's memory: shorter transcript windows, or more processes.",
    ),
    Metric(
        "holdfast_ledger_quarantined",
        "gauge",
        ("stage",),
        "Conversations in quarantine, in the tasks owned.",
        "Any: `holdfast quarantine list`; mend what the ledger failed at, and release them.",
    ),
    Metric(
        "holdfast_ledger_inputs_paused",
        "gauge",
        ("stage",),
        "Tenants' own topics paused, each partition counted, in the tasks owned.",
        "Any: `holdfast inputs list`; mend what its tenant publishes, and release it.",
    ),
    Metric(
        "holdfast_ledger_timers",
        "gauge",
        ("stage",),
        "Keys that wait to be woken.",
        "Rising without traffic: deadlines do not fire; look at holdfast_last_progress_timestamp_seconds.",
    ),
    Metric(
        "holdfast_ledger_restore_duration_seconds",
        "histogram",
        ("stage",),
        "From the start of a task's fencing until its records are read.",
        "High: the changelog is long; compact it harder.",
    ),
    Metric(
        "holdfast_ledger_group_inputs",
        "histogram",
        ("stage",),
        "Inputs that commit in one transaction.",
        "Near its bound: the brokers are the bottleneck, and group commit is at its end.",
    ),
    Metric(
        "holdfast_ledger_wakes_total",
        "counter",
        ("stage",),
        "Due timers whose effect is committed.",
        "As many as turns: deadlines end them, not replies.",
    ),
)

LLM: Final = (
    Metric(
        "gen_ai_client_operation_duration_seconds",
        "histogram",
        (*_CALL, "error_type"),
        "Duration of one model call, failed ones included.",
        "Slow: a nearer or faster model, shorter answers, fewer calls in flight. Failing: error_type says what.",
    ),
    Metric(
        "gen_ai_client_token_usage",
        "histogram",
        (*_CALL, "gen_ai_token_type"),
        "Billable tokens of one model call (characters / 4 where the endpoint reports none).",
        "Growing: shorter transcript windows, fewer candidates.",
    ),
    Metric(
        "holdfast_llm_retries_total",
        "counter",
        ("reason",),
        "Model calls sent again.",
        "Rising: the endpoint's capacity, or the rate limits set here.",
    ),
    Metric(
        "holdfast_llm_retries_denied_total",
        "counter",
        ("cause",),
        "Model calls not sent again although that might have helped.",
        "`budget`: the endpoint fails widely. `deadline`: a faster model, or more time for turns.",
    ),
    Metric(
        "holdfast_circuit_state",
        "gauge",
        ("provider",),
        "The circuit breaker: 0 closed, 1 half open, 2 open (calls fail at once).",
        "Open: the endpoint is down, overloaded, or its quota is used up; it closes by itself once a probe succeeds.",
    ),
    Metric(
        "holdfast_rate_limit_wait_seconds",
        "histogram",
        ("limit",),
        "Wait for permission to send a model call.",
        "`rate`: raise the limits set here if the provider allows. `place`: see holdfast_llm_in_flight_limit.",
    ),
    Metric(
        "holdfast_structured_output_invalid_total",
        "counter",
        ("provider", "purpose", "kind"),
        "Answers that were not what their schema asks (fenced ones were accepted).",
        "Does the endpoint enforce schemas (holdfast_llm_schema_enforced)? `truncated`: raise the output limit.",
    ),
    Metric(
        "holdfast_llm_in_flight",
        "gauge",
        ("provider",),
        "Model calls under way.",
        "At holdfast_llm_in_flight_limit for long: more capacity, or fewer calls.",
    ),
    Metric(
        "holdfast_llm_in_flight_limit",
        "gauge",
        ("provider",),
        "Model calls that the adaptive limit lets out at once; it falls on congestion.",
        "Low: the endpoint throttles or times out.",
    ),
    Metric(
        "holdfast_llm_schema_enforced",
        "gauge",
        ("provider",),
        "1: the endpoint held to a schema that the prompt contradicted; 0: it did not; absent: not known.",
        "0: another server or model; otherwise expect discarded answers.",
    ),
)

CONVERSATIONS: Final = (
    Metric(
        "holdfast_events_accepted_total",
        "counter",
        ("type",),
        "Events taken into the truth.",
        "Flat while customers write: the platform does not publish, or all is dead-lettered.",
    ),
    Metric(
        "holdfast_event_outcomes_total",
        "counter",
        ("outcome",),
        "Turns, by how they ended.",
        "Many `expired`: the stages are slow or away. Many `superseded`: raise settle_seconds.",
    ),
    Metric(
        "holdfast_conversation_notes_total",
        "counter",
        ("note",),
        "Remarkable events. `duplicate`, `stale_result`: repetitions after a crash, harmless.",
        "`sequence_gap`, `out_of_order`: the platform loses or reorders. `unverified_result`, `record_trimmed`: a "
        "stage breaks its contract; look at turns.closed. `held_by_budget`, `over_budget`: a tenant asks for more "
        "turns than HOLDFAST_CONVERSATIONS_TENANT_TURNS_PER_MINUTE; these wait, those are refused.",
    ),
    Metric(
        "holdfast_response_latency_seconds",
        "histogram",
        (),
        "From a customer's message to the response: the customer's wait.",
        "High: the stages' holdfast_event_age_seconds says where the time goes.",
    ),
)

PLAYBOOKS: Final = (
    Metric(
        "holdfast_playbook_records_total",
        "counter",
        ("result",),
        "Records of the playbooks topic: published, retired, head, withdrawn, refused with the reason.",
        "Any refused: somebody publishes past the checks; the last good version stays in force.",
    ),
    Metric(
        "holdfast_playbook_versions",
        "gauge",
        (),
        "Playbook versions held, old ones included.",
        "Grows without end: publishers do not retire old versions.",
    ),
    Metric(
        "holdfast_playbooks_in_force",
        "gauge",
        (),
        "Agents with a playbook in force.",
        "Differs between processes for longer than seconds: one of them does not follow the topic.",
    ),
    Metric(
        "holdfast_playbook_interruptions_total",
        "counter",
        (),
        "Times that following the playbooks broke off; what is known stays in force.",
        "Rises: the broker is away, or the topic does not exist.",
    ),
)

MATCHER: Final = (
    Metric(
        "holdfast_guideline_candidates",
        "histogram",
        (),
        "Guidelines that a turn's model call was asked about.",
        "At the retrieval limit all the time: large playbooks.",
    ),
    Metric(
        "holdfast_guidelines_matched",
        "histogram",
        (),
        "Guidelines that apply in a turn; models follow five or six at once.",
        "More: narrower conditions, priorities.",
    ),
    Metric(
        "holdfast_match_without_meaning_total",
        "counter",
        ("reason",),
        "Turns in which words alone decided what was asked about, although an embeddings endpoint is set.",
        "`index` after a playbook's publication: its guidelines are being embedded. Else: see the endpoint's errors.",
    ),
    Metric(
        "holdfast_match_unknown_total",
        "counter",
        ("reason",),
        "Turns in which the playbook's policy stood in for the model.",
        "Steady: see the model's errors.",
    ),
)

REASONER: Final = (
    Metric(
        "holdfast_drafts_total",
        "counter",
        ("mode", "result"),
        "Drafts: drafted, silent, failed.",
        "Many `failed`: see holdfast_structured_output_invalid_total.",
    ),
    Metric(
        "holdfast_drafts_resampled_total",
        "counter",
        (),
        "Drafts made at the second attempt; each costs a call and its latency.",
        "A rising share: the model drifts.",
    ),
    Metric(
        "holdfast_tool_calls_total",
        "counter",
        ("tool", "status"),
        "Tool calls by what came of them: done, failed, unknown (nobody can tell whether it was executed).",
        "`unknown`: look after each in the tool's own records; `failed`: see the reasoner's log, then the tool's.",
    ),
    Metric(
        "holdfast_tool_call_duration_seconds",
        "histogram",
        ("tool",),
        "Duration of a tool call, retries included.",
        "Near the tool's timeout: the tool is overloaded; raise HOLDFAST_OUTGOING_HOST_CONNECTIONS_MAX if it is not.",
    ),
    Metric(
        "holdfast_tool_parameter_problems_total",
        "counter",
        ("kind",),
        "Values that tools lacked: `missing`, `invalid`; replies ask for them.",
        "A rising share of `invalid`: a parameter's choices or pattern do not fit what customers say.",
    ),
    Metric(
        "holdfast_draft_segments",
        "histogram",
        (),
        "Segments of a draft; each claim is a chance to err.",
        "Long replies: ask for shorter ones in the playbook.",
    ),
    Metric(
        "holdfast_draft_facts",
        "histogram",
        (),
        "Facts offered to a draft.",
        "At the top bucket: playbooks outgrow the prompt, and relevance decides what is seen.",
    ),
    Metric(
        "holdfast_retrievals_total",
        "counter",
        ("result",),
        "Questions to retrievers, by result.",
        "Others than `found` and `empty` rise: replies go without documents; the log names the retriever and why.",
    ),
)

VERIFIER: Final = (
    Metric(
        "holdfast_verification_verdicts_total",
        "counter",
        ("verdict",),
        "Claims of drafts, by what checking found.",
        "`unsupported` at three times its usual share: the model or the facts have changed; see the newest playbook.",
    ),
    Metric(
        "holdfast_draft_revisions_total",
        "counter",
        ("correction",),
        "Segments changed by verification, by how.",
        "Many `edited`: each costs two calls; the drafting model is weak.",
    ),
    Metric(
        "holdfast_verifications_total",
        "counter",
        ("result",),
        "Verifications: passed, rejected, failed (no usable answer in time), flagged (recorded, not mended).",
        "Many `failed`: see the model's errors. Many `rejected`: customers get fallbacks; see the complaints on "
        "turns.closed.",
    ),
    Metric(
        "holdfast_verification_calls",
        "histogram",
        (),
        "Model calls of one verification; 0 where code settled all.",
        "Rising: drafts paraphrase more, or fail more.",
    ),
    Metric(
        "holdfast_verification_calibrations_total",
        "counter",
        ("agrees",),
        "Drafts that code had settled and the blind check read all the same, by whether it agreed.",
        "Disagreement is the blind check's false alarm rate: above three in a hundred, look at its prompts.",
    ),
)

OBSERVER: Final = (
    Metric(
        "holdfast_observer_records_total",
        "counter",
        ("result",),
        "Records read: counted, repeated (by a replay, without effect), late (older than every window), unreadable.",
        "`unreadable`: a foreign writer on claims.judged or turns.closed; the log names the offset.",
    ),
    Metric(
        "holdfast_claim_hazard_at_risk",
        "gauge",
        _BY_POSITION,
        "Claims judged in the window, by their position in the reply. Each process has its own partitions: sum.",
        "None while replies leave: verification is skipped, or the observer lags.",
    ),
    Metric(
        "holdfast_claim_hazard_failed",
        "gauge",
        _BY_POSITION,
        "Those that failed as drafted; over at_risk it is the error hazard at that position.",
        "Rising with the position: long replies err more towards their end; ask for shorter ones.",
    ),
    Metric(
        "holdfast_claim_hazard_corrected",
        "gauge",
        _BY_POSITION,
        "Those that failed and were mended or dropped before the reply left.",
        "Well below failed in an arm that corrects: revision does not find the source's value.",
    ),
    Metric(
        "holdfast_claim_hazard_verdicts",
        "gauge",
        ("window", "arm", "verdict"),
        "Claims in the window, by the verdict on the draft.",
        "A share at three times its usual value: the model or the facts have changed.",
    ),
    Metric(
        "holdfast_observed_outcomes",
        "gauge",
        ("window", "arm", "outcome"),
        "Turns in the window, by how they ended.",
        "As holdfast_event_outcomes_total, from the topics: where both differ for long, the observer lags.",
    ),
    Metric(
        "holdfast_observed_wait_seconds",
        "gauge",
        ("window", "arm", "quantile"),
        "Customers' wait for a response in the window, interpolated within buckets; not to be summed.",
        "High: the stages' holdfast_event_age_seconds says where the time goes.",
    ),
)

HEARTBEAT: Final = (
    Metric(
        "holdfast_heartbeats_total",
        "counter",
        ("result",),
        "Questions that the heartbeat sent the whole way: an outcome of the contract, `late` (none in time), `failed` "
        "(the broker was not reached).",
        "Anything but `answered`: look at the stages' ages and the heartbeat's log, which names the conversation.",
    ),
    Metric(
        "holdfast_heartbeat_seconds",
        "histogram",
        (),
        "From a heartbeat's question to its outcome, of those answered: every stage and both ledger's transactions.",
        "As holdfast_response_latency_seconds, but comparable from hour to hour: the question is always the same.",
    ),
    Metric(
        "holdfast_heartbeat_last_success_timestamp_seconds",
        "gauge",
        (),
        "When a heartbeat was last answered, unix seconds.",
        "Minutes ago: messages of customers are not answered either, at least in some partitions.",
    ),
)

CATALOGUE: Final[Mapping[str, Metric]] = {
    metric.name: metric
    for group in (
        PROCESS,
        STAGE,
        LEDGER,
        LLM,
        CONVERSATIONS,
        PLAYBOOKS,
        MATCHER,
        REASONER,
        VERIFIER,
        OBSERVER,
        HEARTBEAT,
    )
    for metric in group
}
