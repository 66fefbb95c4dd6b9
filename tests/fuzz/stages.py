"""
The door of running stages.
"""

STAGES = "stages"


async def fuzz_stages(inputs, seed, folder):
    raise NotImplementedError
