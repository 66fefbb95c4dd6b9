"""
How good the verifier is: labelled drafts through a running one, and what the verdicts say of its rates.
"""
