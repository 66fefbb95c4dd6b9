"""
The error hazard of replies: what `claims.judged` says about (1-E)^N, and what it does not.

Pure statistics on arrays. Needs the extra `report` (numpy, scipy, statsmodels, lifelines, matplotlib); `records` alone
does without. docs/hazard.md tells what is measured and how to read it.
"""
