"""Step 22: what institutions said of their nodes, each signed with its own log key of genesis.

The statements are no condition of any other step. What they say is told, and a limit adds that it
is the institutions' own word.
"""

from __future__ import annotations

from typing import Final

from ledger.refusal import Reason
from verifier.case import Case
from verifier.evidence_file import WITHOUT_MORE, EvidenceFile
from verifier.platform_statement import describe_platform_statement, read_platform_statement
from verifier.report import Refuted, Said, Saying, Words

PLATFORM_LIMIT: Final = Words(
    "平台声明（《人民法院在线诉讼规则》第十七条）是各机构自己的说明：签名证明由其作出，不证明内容属实；"
    "所述为其声明时间的情形，未必是条目上链之时的；源码哈希可与公开源码比对。",
    "The platform statements (Rules of Online Litigation, art. 17) are the institutions' own word: "
    "a signature proves who said it, not that it is true. Each speaks of the time that it names, "
    "which need not be the entry's. Build hashes can be compared with published source.",
)


def find_statements(file: EvidenceFile) -> tuple[bytes, ...]:
    """Return a file's platform statements; none where its kind has none."""
    if isinstance(file, WITHOUT_MORE):
        return ()
    return file.platform


def check_platform(case: Case) -> Said:
    """Step 22: every statement's signature is good, each of another institution, in order."""
    said = [read_platform_statement(raw, case.root) for raw in find_statements(case.file)]
    order = [one.id for one in case.root.institutions]
    places = [order.index(one.node) for one in said]
    if places != sorted(set(places)):
        raise Refuted(
            Reason.BAD_FIELD,
            "平台声明未按创世文件中机构的次序排列，或同一机构有多份。",
            "The platform statements are not in the order of the institutions, each once.",
        )
    case.facts["platform_statements"] = [one.node for one in said]

    def say() -> Words:
        told = [describe_platform_statement(one) for one in said]
        zh = ["；".join([f"{name.zh}：{text.zh}" for name, text in one]) for one in told]
        en = ["; ".join([f"{name.en}: {text.en}" for name, text in one]) for one in told]
        return Words(
            f"{len(said)} 份平台声明签名有效。{'。'.join(zh)}。",
            f"{len(said)} platform statements with good signatures. {'. '.join(en)}.",
        )

    return Saying(say)
