"""The cast of a devnet: institutions, merchants, a bank's gateway. All of it is invented.

`examples/make_week.py` writes a week of their receipts, and `evidence-ledger devnet` registers
them, so the two read one table. A name never says who somebody is; ids are not derived from keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class DemoInstitution:
    """An institution of a devnet's genesis."""

    id: str
    role: str
    en: str
    zh: str
    district: str = ""


@dataclass(frozen=True, slots=True)
class DemoSubmitter:
    """A party that a devnet registers on its chain."""

    party: str
    role: str
    zh: str
    industry: str = ""
    district: str = ""


_SORTS: Final = (
    ("bank", "bank", "Example Bank", "示例银行"),
    ("pay", "payment", "Example Payment Company", "示例支付公司"),
    ("regulator", "regulator", "Example Regulator", "示例监管局"),
    ("district", "district", "Example District Government", "示例区政府"),
    ("credit", "credit_bureau", "Example Credit Bureau", "示例征信公司"),
    ("council", "consumer_council", "Example Consumer Council", "示例消委会"),
)
_STEMS: Final = "甲乙丙丁戊己"
"""The heavenly stems, as Chinese numbers companies in examples; six sorts times six stems are the
36 institutions that a genesis document holds at most."""


def demo_institutions(count: int) -> list[DemoInstitution]:
    """Return the first `count` institutions; at least a bank, which registers the submitters."""
    found = []
    for number in range(count):
        series, sort = divmod(number, len(_SORTS))
        stem, role, en, zh = _SORTS[sort]
        letter = "abcdef"[series]
        district = f"district-{letter}" if role == "district" else ""
        found.append(
            DemoInstitution(
                f"{stem}-{letter}",
                role,
                f"{en} {letter.upper()}",
                f"{zh}{_STEMS[series]}",
                district,
            )
        )
    return found


REGISTRAR: Final = "bank-a"
"""The institution that registers every demo submitter."""

GATEWAY: Final = "bank-a-gateway"
"""Holds the money of the demo contracts and attests for the bank."""

CONSUMER: Final = "consumer-01"
"""A consumer who signs with a key of its own; every other one appears as a commitment only."""

MERCHANTS: Final = (
    DemoSubmitter("m-yoga", "merchant", "示例健身馆", "fitness", "futian"),
    DemoSubmitter("m-art", "merchant", "示例艺术培训中心", "training", "nanshan"),
    DemoSubmitter("m-wash", "merchant", "示例洗车行", "car_wash", "longgang"),
    DemoSubmitter("m-hair", "merchant", "示例理发店", "hair_beauty", "luohu"),
    DemoSubmitter("m-pet", "merchant", "示例宠物店", "pets", "longhua"),
    DemoSubmitter("m-noodle", "merchant", "示例面馆", "catering", "baoan"),
    DemoSubmitter("m-drive", "merchant", "示例驾校", "driving", "pingshan"),
    DemoSubmitter("m-home", "merchant", "示例家政公司", "housekeeping", "yantian"),
)

SUBMITTERS: Final = (
    *MERCHANTS,
    DemoSubmitter(GATEWAY, "gateway", "示例银行甲网关"),
    DemoSubmitter(CONSUMER, "consumer", "示例消费者"),
)
