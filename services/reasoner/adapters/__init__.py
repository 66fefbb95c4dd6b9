"""
What the reasoner reaches for outside: requests to hosts that its operator allows, tools, secrets.
"""
