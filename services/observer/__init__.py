"""
The observer: what was judged and how turns ended, over the last five minutes, hour and day.

A Faust app that reads `claims.judged` and `turns.closed` into tables of one-minute buckets and a projection of each
conversation's last state. Nothing waits for it: without it everything else works the same, and a lost table is read
again from the topics.
"""
