"""
What stands between a caller and a model: retries, rates, places, and the circuit breaker. Each wraps a `LanguageModel`.
"""
