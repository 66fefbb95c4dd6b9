"""
Verification, pure: what code can decide, what is asked of the model, what follows from its answers.
"""
