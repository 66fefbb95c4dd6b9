"""
Drafting, pure: what may be asserted, what is asked of the model, what of its answer is good enough to hand on.
"""
