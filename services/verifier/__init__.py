"""
verifier: `turns.drafted` → `turns.verified`, with a reply that passed, or the playbook's fallback.

Checks a draft by code, then blind by a model that sees the facts and never the draft (chain-of-verification,
grounded), mends what fails, cheapest first, and lets nothing out that it could not support. Keeps no state.
"""
