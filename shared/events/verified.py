"""
`turns.verified`: what the verifier alone may say.
"""

from shared.events.turns import TurnFinished


class TurnVerified(TurnFinished):
    """
    `turn.verified`: the verifier's word on a drafted reply. It may leave (`verified`), or is kept back (`failed`,
    `hand_off`); only here is a text believed to be verified. It asks for no calls.
    """
