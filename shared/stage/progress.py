"""
A position's progress: which offsets are done, though they are finished in any order, and how a commit tells it.
"""

SPAN_MAX = 24_000
