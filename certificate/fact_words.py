"""What the facts of a verification are called on paper.

The report names them for programs (`facts` of `verify --json`); a clerk reads words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from verifier.report import Words
from verifier.wording import MONEY, REFUSAL_WORDS

FACTS: Final[Mapping[str, Words]] = {
    "applied": Words("已生效条数", "entries applied"),
    "ask": Words("所问", "question"),
    "attempts": Words("未成的陈述", "attempts to speak"),
    "balance_fen": Words("金额", "amount"),
    "block_hash": Words("区块哈希", "block hash"),
    "block_time_ms": Words("区块时间", "time of the block"),
    "chain_id": Words("链标识（创世哈希）", "chain id (genesis hash)"),
    "claims": Words("所列合同数", "contracts listed"),
    "claims_fen": Words("所列合同合计", "sum of those listed"),
    "committed_by": Words("投提交票的机构", "committed by"),
    "contract": Words("合同编号", "contract"),
    "contracts": Words("合同总数", "contracts in all"),
    "cosigned_by": Words("联署机构", "cosigned by"),
    "deadline_ms": Words("提交期限", "deadline"),
    "ends": Words("终结事项数", "records of the end"),
    "entries": Words("文件所载条数", "entries in the file"),
    "entry_height": Words("条目高度", "height of the entry"),
    "existed_by_s": Words("最迟存在时间", "existed by"),
    "faulty_max": Words("可容不诚实机构数", "institutions that may lie"),
    "first": Words("首条在记录中的序号（自 0 起）", "place of the first (from 0)"),
    "found": Words("所问条数", "entries found"),
    "found_refused": Words("其中已记录为拒绝", "of them recorded as refused"),
    "header_index": Words("区块头的日志位置", "index of the header"),
    "height": Words("区块高度", "block height"),
    "index": Words("日志位置", "index in the log"),
    "inside": Words("期间内条数", "entries in that time"),
    "kind": Words("业务种类", "kind of transaction"),
    "late_height": Words("迟入的高度", "height of the late entry"),
    "merchant": Words("经营者", "merchant"),
    "network": Words("账本网络", "network"),
    "not_cosigned_by": Words("文件中未见联署的机构", "no cosignature here of"),
    "older_root": Words("较早日志根", "older root of the log"),
    "older_size": Words("较早日志大小", "older size of the log"),
    "outcome": Words("执行结果", "outcome"),
    "owed_articles": Words("所依条文", "articles applied"),
    "owed_fen": Words("依法应退", "owed by law"),
    "parent_hash": Words("前一区块哈希", "hash of the block before"),
    "price_changes": Words("价格变更数", "changes of price"),
    "produced_otherwise": Words("另行提交数", "produced for other requests"),
    "promised_by": Words("作出承诺的机构", "promised by"),
    "promised_height": Words("承诺的高度", "promised height"),
    "quorum": Words("法定多数", "quorum"),
    "record": Words("登记种类", "kind of record"),
    "refusals": Words("拒绝提交数", "refusals to produce"),
    "refused": Words("已记录为拒绝条数", "entries recorded as refused"),
    "shown": Words("具名的合同", "contracts shown"),
    "signatures": Words("签名数", "signatures"),
    "signed_by": Words("签名主体", "signed by"),
    "silent": Words("未签名亦未陈述者", "neither signed nor spoke"),
    "slot": Words("表决位", "slot"),
    "state_height": Words("状态所属高度", "height of the state"),
    "statements": Words("其后的陈述", "statements since"),
    "stream": Words("记录名称", "name of the record"),
    "stream_count": Words("记录总条数", "entries of the record"),
    "stream_root": Words("记录的根", "root of the record"),
    "terms": Words("条款的哈希", "hash of the terms"),
    "total_fen": Words("经营者合计", "the merchant's total"),
    "tree_root": Words("日志根", "root of the log"),
    "tree_size": Words("日志大小", "size of the log"),
    "tx_id": Words("交易号", "transaction id"),
    "unknown_kinds": Words("核验程序不认识的种类", "kinds not known to the verifier"),
    "validator": Words("验证机构", "validator"),
    "validators": Words("验证机构数", "validators"),
    "view": Words("视图", "view"),
}

PARTS: Final[Mapping[str, Words]] = {
    "closing": Words("期末", "closing"),
    "high": Words("最高", "at most"),
    "low": Words("最低", "at least"),
    "opening": Words("期初", "opening"),
    "results": Words("结果数", "results"),
}


def name_fact(name: str) -> Words:
    """Return what a fact is called; one that has no words keeps its name."""
    return FACTS.get(name, Words(name, name))


def name_part(name: str, part: str) -> Words:
    """Return what a part of a fact is called, such as one of several amounts."""
    whole = name_fact(name)
    tables = (REFUSAL_WORDS,) if name == "refused" else (PARTS, MONEY)
    within = next((table[part] for table in tables if part in table), Words(part, part))
    return Words(f"{whole.zh}：{within.zh}", f"{whole.en}: {within.en}")
