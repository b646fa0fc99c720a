"""A network of invented institutions whose keys follow from their names, to measure and to test.

Anybody can compute the keys, so nobody may ever trust such a network. What does not matter where it
is used (addresses, names, certificates) is the same everywhere; `sim.deployment` makes its own, for
its nodes talk to one another.
"""

from __future__ import annotations

import base64
import types
from collections.abc import Callable, Mapping, Sequence

import msgspec

from genesis.document import (
    Endpoints,
    Institution,
    Keys,
    Name,
    Parameters,
    RulePack,
    encode_genesis,
)
from ledger.signing import SeedSigner

MakeKey = Callable[[str], SeedSigner]
"""The key of a name, such as `bank-0 vote`."""


def encode_invented_genesis(
    network: str,
    time_ms: int,
    roles: Sequence[str],
    parameters: Parameters,
    make_key: MakeKey,
    district: str = "",
    mldsa44: Mapping[int, str] = types.MappingProxyType({}),
) -> bytes:
    """Return the genesis document of `bank-0`, `bank-1` and so on, one of each role.

    `mldsa44` has the SHA-256 of ML-DSA-44 keys by the institution's place, in hex.
    """
    institutions = [
        Institution(
            district=district,
            endpoints=Endpoints(f"https://n{at}.example", f"n{at}.example:7000"),
            id=f"bank-{at}",
            keys=Keys(
                **{
                    purpose: make_key(f"bank-{at} {purpose}").public_key.hex()
                    for purpose in ("cosign", "log", "party", "vote")
                },
                mldsa44=mldsa44.get(at, msgspec.UNSET),
            ),
            name=Name(en=f"Bank {at}", zh=f"第{at}银行"),
            role=role,
            tls_certificate=base64.b64encode(b"certificate %d" % at).decode(),
        )
        for at, role in enumerate(roles)
    ]
    return encode_genesis(
        network=network,
        time_ms=time_ms,
        institutions=institutions,
        parameters=parameters,
        rule_pack=RulePack("pilot", 1),
    )
