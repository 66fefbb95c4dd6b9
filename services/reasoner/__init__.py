"""
reasoner: `turns.matched` → `turns.drafted`, or `turns.finished` where nothing is to be said or no draft could be made.

Drafts a reply by an ARQ blueprint: what the customer asks, the guidelines restated, the facts needed, then the
reply in segments that say what they rest on. Keeps no state; never checks its own claims against the facts: that is
the verifier's part.
"""
