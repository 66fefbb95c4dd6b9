"""
The `holdfast` command: demo, local broker, playbooks, chat, feeding, watching, benchmarks, chaos.

It speaks to the other services through topics only and imports none of them.
"""
