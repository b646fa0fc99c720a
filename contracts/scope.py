"""How far an authority reaches: a district to its own merchants, a regulator as far as published.

Which industries and which districts a regulator is competent for is said by the competence
document (`contracts.documents`), for everything as long as there is none. A district acts for its
own, by genesis. Whoever reaches further is refused, and the attempt stays on record.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.documents import EVERYTHING, find_competence
from contracts.handling import Context, Refusal


def check_scope(
    context: Context, signer: str, district: str, industries: Sequence[str] = ()
) -> None:
    """Refuse a district or regulator outside its scope; others have none.

    `district` is the merchant's, empty where it has none. Of `industries` a regulator needs one;
    where there are none, it needs none. Raises `Refusal`: wrong_district, not_competent.
    """
    party = context.party(signer)
    if party is None:
        return
    if party.role == "district" and party.district != district:
        raise Refusal(
            "wrong_district",
            ("signer", signer),
            ("district", party.district),
            ("expected", district),
        )
    if party.role != "regulator":
        return
    competence = find_competence(context, signer)
    if not competence.industries:
        raise Refusal("not_competent", ("signer", signer), ("industry", " ".join(industries)))
    if competence.districts != EVERYTHING and district not in competence.districts:
        raise Refusal(
            "wrong_district",
            ("signer", signer),
            ("district", " ".join(competence.districts)),
            ("expected", district),
        )
    if not industries or competence.industries == EVERYTHING:
        return
    if not set(industries) & set(competence.industries):
        raise Refusal("not_competent", ("signer", signer), ("industry", " ".join(industries)))
