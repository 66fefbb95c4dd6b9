"""
The tool world: a small HTTP server with a bank's accounts and a taxi rank's rides, for playbooks to act on.

It counts what was really done, by the key that each call carries, so that a run can show that no effect happened
twice; and it can be slow, fail, lose its answers and refuse to recognise a repeated call.
"""
