"""
Longer drafts composed of labelled claims, with a set share of errors: what a reply of many claims costs. Pure.
"""

from collections.abc import Sequence
from random import Random

from services.operator.verification.drafts import Domain, Draft, Said

ASKS = "Could you tell me all about this, please?"


def composed(domains: Sequence[Domain], *, claims: int, error_share: float, drafts: int, seed: int) -> list[Domain]:
    """
    *domains* with *drafts* drafts in all, each of *claims* claims about facts of its domain, as many different facts as
    there are. Each claim is a wrong one of the labelled drafts with chance *error_share*, else a right one.
    """
    random = Random(seed)
    share = -(-drafts // len(domains))
    return [
        domain.model_copy(
            update={
                "drafts": tuple(
                    Draft(asks=f"{ASKS} ({number})", says=_says(domain, claims, error_share, random))
                    for number in range(min(share, drafts - place * share))
                )
            }
        )
        for place, domain in enumerate(domains)
        if drafts > place * share
    ]


def _says(domain: Domain, claims: int, error_share: float, random: Random) -> tuple[Said, ...]:
    known = [said for draft in domain.drafts for said in draft.says if said.label is not None]
    right = list({said.text: said for said in known if not said.is_wrong}.values())
    wrong = list({said.text: said for said in known if said.is_wrong}.values())
    picked: list[Said] = []
    for _ in range(claims):
        pool = wrong if random.random() < error_share else right
        told = {name for said in picked for name in said.by}
        fresh = [said for said in pool if told.isdisjoint(said.by)] or [said for said in pool if said not in picked]
        picked.append(random.choice(fresh or pool).model_copy(update={"does": ()}))
    return tuple(picked)
