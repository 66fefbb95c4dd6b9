"""
Attentive Reasoning Queries as machinery: blueprints, prompts, rendering. Concrete schemas live with the services.
"""
