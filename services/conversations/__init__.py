"""
The conversations service: the only writer of a conversation's truth.

* consumes `conversation.events` (what the chat platform publishes), `conversation.decisions` (what people decide),
  `turns.verified` (the verifier's word on a reply) and `turns.finished` (how a turn ended before it), and follows
  `playbooks`;
* emits `turns.opened`, `conversation.responses`, `turns.closed`, `claims.judged`, and its state to
  `conversations.state`;
* key: `{tenant}:{conversation}`; all that follows from one record is one transaction with its offset;
* never calls a model, a tool or another service, never sends a text that neither passed verification nor stands in
  the playbook, and never lets a turn end twice.

Decisions that are not obvious, and where they are made:

* A newer customer message supersedes the open turn; the next turn covers the messages of both, so its reply answers
  them all.
* A human agent's message hands the open turn over but does not change the mode; a hand-off by the stages does.
* A failed verification that has a fallback text is `answered` with that fallback; with an empty one, `no_reply`.
* A refused message (too large, expired, unknown agent) closes a turn of its own at once. An open turn is superseded
  by it and opened again, because epochs, and so responses, must stay in order.
* The agent that a message names applies from the turn which that message opens.
* A conversation stays where its records arrive: the platform's partitioner may be any, as long as it is always the
  same.
"""
