"""
The two stage runtimes: *concurrent* (idempotent, slow work, no state) and *ledger* (transactional, state, timers).

`base` holds what a service writes against, `ports` what the runtimes need of a broker.
"""
