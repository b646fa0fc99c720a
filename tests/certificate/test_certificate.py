"""Certificates: what the pages say, in which fonts, with what inside, and the same every time."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import pypdf
import pytest
from pypdf.generic import DictionaryObject

from certificate.attachment import extract
from certificate.contents import TIME_S_MAX, make_certificate, make_number
from certificate.document import (
    Certificate,
    Exact,
    Section,
    Sentences,
    Table,
    encode_document,
)
from certificate.fact_words import FACTS, name_part
from certificate.record import ENTRIES_SHOWN_MAX, describe_record
from certificate.render import render
from certificate.showing import TEXT_CHARS_MAX, is_shown, show_exact, show_text
from law.canonical import compute_hash, encode
from law.terms import parse_terms
from law.terms_text import render_terms
from tests.certificate.papers import evidence, make, paper, refuted, squeeze
from tests.certificate.test_disclosed import disclosed_paper
from tests.verifier import (
    proof_files,
    test_custody,
    test_owed,
    test_platform_statement,
    test_proofs,
    test_record_mutations,
    test_timestamps,
)
from tests.verifier.small_chain import SmallChain, busy_chain
from verifier.evidence_file import HistoryFile, read_evidence
from verifier.report import Words
from verifier.trust_root import read_trust_root
from verifier.verify import verify_evidence
from verifier.wording import REFUSAL_WORDS, format_fen

pytestmark = pytest.mark.xdist_group("certificate")

KINDS = ("transaction", "history", "case")


def test_a_transactions_pages_in_chinese() -> None:
    made = paper("transaction", "zh")
    facts = made.report.facts
    lacks = made.lacks(
        "区块链存证核验证书",
        "核验结论一致",
        make_number(sha256(made.evidence).hexdigest(), made.chain_id.hex()),
        sha256(made.evidence).hexdigest(),
        made.chain_id.hex(),
        "一、证据概要",
        "证据种类 单笔交易",
        "最迟存在时间 北京时间 2026-01-01 08:01:50.000",
        "业务种类 预付并锁定（prepaid.prepay 第 1 版）",
        "业务编号 R-6",
        "金额 1000.00 元",
        "上链时间（区块时间） 北京时间 2026-01-01 08:00:03.000",
        f"交易号 {facts['tx_id']}",
        f"区块哈希 {facts['block_hash']}",
        f"前一区块哈希 {facts['parent_hash']}",
        f"日志大小 {facts['tree_size']}",
        f"日志根 {facts['tree_root']}",
        "PBFT：共 4 家机构（n），至多 1 家不诚实时仍可靠（f），法定多数 3 家；本检查点由 4 家联署",
        "第 3 银行 bank-3 银行／nanshan 北京时间 2026-01-01 08:02:10.000 无",
        "11 提交证书 通过 3 家机构在第 0 视图对该区块投提交票",
        "第十七条（二） 利害关系 签名主体 bank-1 同时是验证机构，共 1 家；法定多数须 3 家",
        "第十八条 上链前的真实性 1 条记录中 0 条载有来源系统",
        "证明：自上链之时起内容未被改动",
        "不证明：上链之前即为真实。",
        SOFTWARE_SAID,
    )
    assert lacks == []
    assert "Certificate" not in made.text


def test_platform_statements_stand_under_the_platform() -> None:
    made_chain, _ = test_platform_statement.chain()
    raw = test_platform_statement.FILES["all"][0]()
    for language, expected in (
        (
            "zh",
            (
                "运营机构 第 3 银行（bank-3）",
                "利害关系 未声明",
                "22 平台声明 通过 签名均有效；内容见“平台说明”。",
            ),
        ),
        ("en", ("Conflicts of interest none declared", "kernel plain", "22 platform statements")),
    ):
        made = make(raw, made_chain.chain_id, language)
        assert made.lacks(*expected) == []
        assert squeeze("build hash, licences") not in made.text
        assert (
            made.lacks({"zh": "第三方时间戳", "en": "time stamps of third parties"}[language]) == []
        )


def test_time_stamps_stand_in_the_summary_with_what_was_not_checked() -> None:
    chain_id = test_timestamps.chain()[0].chain_id
    for language, expected in (
        (
            "zh",
            (
                "可信时间戳 2 个，自称：北京时间 2026-01-01 08:15:00.000，误差至多 1 秒",
                "1 秒（tsa-1, sha256）",
                "2026-01-01 08:15:00.000，误差至多 1 秒（tsa-1, sm3, 摘要未比对）",
                "时间戳机构的签名未核验",
                "25 可信时间戳 通过",
            ),
        ),
        (
            "en",
            (
                "Time stamps 2, which say: 2026-01-01 00:15:00.000 UTC to within 1 s",
                "1 s (tsa-1, sha256)",
                "2026-01-01 00:15:00.000 UTC to within 1 s (tsa-1, sm3, imprint not compared)",
                "the authorities' signatures are not checked",
                "25 time stamps",
            ),
        ),
    ):
        made = make(test_timestamps.good(), chain_id, language)
        assert made.lacks(*expected) == []
        assert squeeze("第三方时间戳") not in made.text
        assert squeeze("time stamps of third parties") not in made.text


def test_nothing_is_said_of_time_stamps_that_were_not_reached() -> None:
    """An earlier step failed: that a quorum cosigned the stamped checkpoint nobody has seen."""
    made = make(test_timestamps.good(), bytes(32), "en")
    assert made.report.failed is not None
    assert made.report.failed.number == 2
    assert squeeze("A quorum cosigned the checkpoint, and the tokens") not in made.text
    assert made.lacks("25 time stamps not run Not run, because step 2 failed.") == []


SOFTWARE_SAID = "本文件由软件（evidence-ledger 9.9.9）据所附存证文件生成，不含出具时间"


def test_a_transactions_pages_in_english() -> None:
    made = paper("transaction", "en")
    lacks = made.lacks(
        "Certificate of Verified Evidence",
        "Conclusion Consistent",
        "All 11 steps that apply passed: the attached evidence is unchanged since it was put on "
        "the chain.",
        "lock a prepayment (prepaid.prepay version 1) of 1000.00 yuan: applied",
        "Existed no later than 2026-01-01 00:01:50.000 UTC",
        "Signers that are validators too: bank-1, 1 in all; a quorum takes 3",
        "Not proven: that it was true before.",
        "Page 1 of",
    )
    assert lacks == []


def test_every_signature_and_every_hash_of_the_path_can_be_copied() -> None:
    made = paper("transaction", "zh")
    exact = [
        value.value
        for section in made.certificate.sections
        for block in section.blocks
        for row in getattr(block, "rows", ())
        for value in row
        if isinstance(value, Exact)
    ]
    assert len([value for value in exact if len(value) == 128]) == 2 + 3  # signers, commits
    assert [value for value in exact if squeeze(value) not in made.text] == []


def test_a_history_says_that_it_is_complete_and_lists_the_record() -> None:
    made = paper("history", "both")
    lacks = made.lacks(
        "证据种类 一份合同的完整记录",
        "截至高度 5，全部记录恰为 7 条，无遗漏、无增添",
        "锁定中 900.00 元",
        "已记录为拒绝，原因是锁定余额不足（insufficient_locked）",
        "Locked 900.00 yuan",
        "up to height 5 the record has exactly 7 entries, none left out",
        "4 / 15",
        "记录截至区块高度 5 该区块时间 北京时间 2026-01-01 08:00:05.000",
    )
    assert lacks == []


def test_a_case_says_what_is_owed_and_on_which_terms() -> None:
    made = paper("case", "both")
    owed = made.report.facts["owed_fen"]
    assert isinstance(owed, dict)
    low, high = (f"{owed[name] / 100:.2f}" for name in ("low", "high"))
    lacks = made.lacks(
        "证据种类 一份合同的完整记录及应退计算",
        f"依法应退（本息） 2 种结果，{low} 元 至 {high} 元",
        "合同条款 美发储值卡",
        f"Owed by law, with interest 2 results, {low} yuan to {high} yuan",
        "14 应退复算 通过",
    )
    assert lacks == []


@pytest.mark.parametrize("name", test_proofs.GOOD)
def test_every_fact_of_a_proof_has_words(name: str) -> None:
    chain, raw = test_proofs.GOOD[name]()
    assert set(verify_evidence(raw, chain.chain_id).facts) - set(FACTS) == set()


def test_entries_refused_are_not_called_by_the_name_of_an_amount() -> None:
    assert name_part("refused", "frozen").zh == f"已记录为拒绝条数：{REFUSAL_WORDS['frozen'].zh}"
    assert name_part("balance_fen", "locked").zh == "金额：锁定"


def test_facts_are_called_by_words_on_paper() -> None:
    chain, raw = test_proofs.GOOD["window"]()
    text = make(raw, chain.chain_id, "both").text
    assert [name for name in ("chain_id", "faulty_max", "block_time_ms") if name in text] == []
    assert "可容不诚实机构数1" in text


def test_one_result_turns_on_nothing() -> None:
    made = test_owed.paid_world()
    made.publish_data()
    made.done("termination.agreed", {}, "m-1", "c-1")
    made.done("cause.stated", {"cause": "merchant", "standing": "finding"}, "court-1")
    made.done("refund.computed", {"as_of": test_owed.AS_OF}, "c-1")
    certified = make(made.history("card-1", test_owed.SIGNERS), made.chain_id, "both")
    due = f"{made.card.due_low / 100:.2f}"
    assert (
        certified.lacks(
            f"依法应退（本息） {due} 元（1 种结果）",
            f"Owed by law, with interest {due} yuan (1 result)",
        )
        == []
    )
    assert "取决于尚未认定" not in certified.text


def test_what_is_inconsistent_is_called_so_and_certifies_nothing() -> None:
    made = refuted()
    lacks = made.lacks(
        "区块链存证核验报告",
        "核验结论不一致",
        "核验未通过：第 2 步“创世文件”失败。所附文件不能证明其内容，本文件不证明任何事实。",
        "2 创世文件 失败",
        "wrong_chain",
        "3 验证者与法定多数 未执行 因第 2 步失败而未执行。",
        "Report of Failed Verification",
        "Conclusion Inconsistent",
    )
    assert lacks == []
    for never in ("证书", "900.00", "card-1", "R-6", "第0银行", "第十六条"):
        assert never not in made.text.replace("提交证书", ""), never
    assert extract(made.pdf) == made.evidence


def test_a_file_that_fails_late_certifies_nothing_either() -> None:
    """Step 11 fails: what the ten before it found of the content is not told."""
    make_raw, *_ = test_record_mutations.MUTATIONS["certificate-of-another-block"]
    made = make(make_raw().encode(), busy_chain().chain_id, "both")
    assert made.report.failed is not None
    assert made.report.failed.number == 11
    lacks = made.lacks(
        "10 执行结果 通过 该步通过；文件不一致，其所见不在此列出。",
        "10 the outcome passed It passed; the file is inconsistent, and what it found is not told.",
    )
    assert lacks == []
    for never in ("card-1", "1000.00", "R-6", "最迟存在", "Existednolaterthan", "业务种类代码"):
        assert never not in made.text, never
    assert made.reader.metadata is not None
    assert made.reader.metadata.creation_date_raw == "D:19700101000000Z"


@pytest.mark.parametrize("kind", KINDS)
def test_the_evidence_inside_is_the_file_and_verifies(kind: str) -> None:
    made = paper(kind, "both" if kind != "transaction" else "zh")
    taken = extract(made.pdf)
    assert taken == made.evidence
    assert verify_evidence(taken, made.chain_id).conclusion.en == "consistent"


@pytest.mark.parametrize("time_s", [TIME_S_MAX - 10, TIME_S_MAX - 9, 2**63 - 100])
def test_a_time_that_no_calendar_has_is_no_date(time_s: int) -> None:
    """Whoever makes a genesis of his own also sets its clocks."""
    chain = busy_chain()
    proof = chain.proof(chain.headers[-1].index, note=chain.note(time_s=time_s))
    made = make(proof_files.state(chain, header_proof=proof), chain.chain_id, "zh")
    assert made.report.facts["existed_by_s"] == time_s + 10
    assert made.reader.metadata is not None
    assert made.reader.metadata.creation_date_raw == (
        "D:99991231235959Z" if time_s + 10 == TIME_S_MAX else "D:19700101000000Z"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_made_again_it_is_the_same(kind: str) -> None:
    language = "both" if kind != "transaction" else "zh"
    assert make(*evidence(kind), language).pdf == paper(kind, language).pdf


def objects(reader: pypdf.PdfReader) -> Iterator[Any]:
    for number in range(1, len(reader.xref_objStm) + sum(map(len, reader.xref.values())) + 1):
        found = reader.get_object(number)
        if found is not None:
            yield found


def test_it_is_a_pdf_a_3_with_the_file_as_its_source() -> None:
    reader = paper("case", "both").reader
    metadata = reader.trailer["/Root"]["/Metadata"].get_data().decode()
    assert "<pdfaid:part>3</pdfaid:part>" in metadata
    assert "<pdfaid:conformance>A</pdfaid:conformance>" in metadata
    assert "<pdfuaid:part>1</pdfuaid:part>" in metadata
    assert "<xmp:CreateDate>2026-01-01T00:01:50" in metadata
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in root
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    (specification,) = [one.get_object() for one in root["/AF"]]
    assert specification["/AFRelationship"] == "/Source"
    assert specification["/UF"] == "evidence.json"
    stream = specification["/EF"]["/F"]
    assert stream["/Subtype"] == "/application/vnd.evidence-ledger.evidence+json"


def test_it_does_nothing_when_opened_and_points_nowhere() -> None:
    for found in objects(paper("case", "both").reader):
        if isinstance(found, DictionaryObject):
            forbidden = {"/JS", "/JavaScript", "/OpenAction", "/AA", "/Launch", "/URI"} & set(found)
            assert not forbidden, found


def test_every_font_is_inside_and_only_what_is_used_of_it() -> None:
    made = paper("case", "both")
    descriptors = [
        found
        for found in objects(made.reader)
        if isinstance(found, DictionaryObject) and found.get("/Type") == "/FontDescriptor"
    ]
    names = {re.sub(r"^/[A-Z]{6}\+", "", str(one["/FontName"])) for one in descriptors}
    assert {name.partition("-")[0] for name in names} == {
        "NotoSansCJKsc",
        "NotoSerifCJKsc",
        "DejaVuSansMono",
    }
    assert [one for one in descriptors if not {"/FontFile2", "/FontFile3"} & set(one)] == []
    assert [one for one in descriptors if not re.match(r"/[A-Z]{6}\+", one["/FontName"])] == []
    assert len(made.pdf) < 600_000


def test_headings_are_of_the_heading_font() -> None:
    known = set((files("certificate") / "fonts/headings.txt").read_text("utf-8"))
    papers = (
        *[paper(kind, "both") for kind in KINDS[1:]],
        paper("transaction", "zh"),
        refuted(),
        disclosed_paper(),
    )
    kinds = [certify(kind) for kind in test_proofs.GOOD]
    for certificate in (*[made.certificate for made in papers], *kinds):
        for language in ("zh", "en"):
            document = encode_document(certificate, language)
            titles = [document["title"], *[one["title"] for one in document["sections"]]]
            said = "".join([*titles, *document["conclusion"]])
            assert sorted(set(said) - known) == []


def test_every_character_that_is_shown_has_a_glyph() -> None:
    """PDF/A refuses a missing glyph; so both ends of every range of the table are set once."""
    ranges = json.loads((files("certificate") / "fonts/coverage.json").read_text("ascii"))
    ends = "".join([chr(one) for pair in ranges for one in pair])
    lines = tuple([ends[at : at + 1000] for at in range(0, len(ends), 1000)])
    nothing = Words("一", "one")
    page = Certificate(
        nothing, "", "", nothing, True, nothing, (Section(nothing, (Sentences(lines),)),)
    )
    assert render(page, b"{}", "A", 0, "zh").startswith(b"%PDF-1.7")


def certify(kind: str) -> Certificate:
    chain, raw = test_proofs.GOOD[kind]()
    report = verify_evidence(raw, chain.chain_id)
    return make_certificate(raw, report, chain.chain_id.hex(), "software")


def said_in(made: Certificate, title: str) -> list[Words]:
    """Every text of one section."""
    (section,) = [section for section in made.sections if section.title.en == title]
    cells: list[Any] = []
    for block in section.blocks:
        rows = block.lines if isinstance(block, Sentences) else block.rows
        cells += [cell for row in rows for cell in (row if isinstance(row, tuple) else (row,))]
    return [cell if isinstance(cell, Words) else Words(str(cell), str(cell)) for cell in cells]


@pytest.mark.parametrize(
    "kind", ["window", "consistency", "state", "absence-1", "omission", "equivocation-fork"]
)
def test_a_kind_without_sections_of_its_own_says_the_answer_and_what_was_verified(
    kind: str,
) -> None:
    chain, raw = test_proofs.GOOD[kind]()
    report = verify_evidence(raw, chain.chain_id)
    made = certify(kind)
    titles = [section.title.en for section in made.sections]
    assert titles[:4] == [
        "The evidence",
        "What was asked",
        "What was verified",
        "The institutions and their signatures",
    ]
    assert said_in(made, "What was asked") == [report.steps[-1].explanation]
    names = [words.en for words in said_in(made, "The institutions and their signatures")]
    assert {one.id for one in chain.genesis.institutions} <= set(names)


def test_facts_are_shown_by_words_and_times_as_times() -> None:
    shown = [words.en for words in said_in(certify("balance"), "What was verified")]
    for name, value in (
        ("amount: closing", "900.50 yuan"),
        ("cosigned by", "bank-0, bank-1, bank-2, bank-3"),
        ("existed by", "2026-01-01 00:01:50.000 UTC"),
        ("time of the block", "2026-01-01 00:00:05.000 UTC"),
    ):
        assert shown[shown.index(name) + 1] == value


def test_of_a_contradiction_nothing_is_said_to_be_on_the_chain() -> None:
    """Genesis and two signatures decide; no checkpoint, no entry and no key of a signer does."""
    made = certify("equivocation-votes")
    assert made.meaning.en == (
        "All 4 steps that apply passed: the two attached statements are signed by one validator, "
        "and not both can be true."
    )
    articles = " ".join(
        [words.en for words in said_in(made, "The Rules of Online Litigation of People's Courts")]
    )
    assert (
        "by the steps on: the file can be read, the trusted genesis, validators and quorum, what "
        "is asked."
    ) in articles
    assert "rests on no checkpoint" in articles
    assert "holds no entries" in articles
    assert "0 institutions" not in articles


def test_entries_of_a_question_are_counted() -> None:
    articles = said_in(certify("window"), "The Rules of Online Litigation of People's Courts")
    assert articles[-1].en.startswith("0 of 4 entries state source system")
    assert "Signers that are validators too: bank-1, 1 in all" in articles[5].en


def test_terms_that_no_entry_binds_are_not_shown() -> None:
    raw, chain_id = evidence("case")
    file = read_evidence(raw)
    assert isinstance(file, HistoryFile)
    assert file.law is not None
    other = dataclasses.replace(file, law=dataclasses.replace(file.law, terms=b"{}"))
    report, root = verify_evidence(raw, chain_id), read_trust_root(file.genesis)
    titles = [
        [section.title.en for section in describe_record(given, report, root)]
        for given in (file, other)
    ]
    assert titles == [
        ["The contract and its books", "The contract's terms", "The record"],
        ["The contract and its books", "The record"],
    ]


def test_long_terms_are_shown_to_their_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    raw, chain_id = evidence("case")
    file = read_evidence(raw)
    assert isinstance(file, HistoryFile)
    assert file.law is not None
    signed_on = compute_hash(file.law.terms)
    terms = json.loads(file.law.terms)
    (first, *_), (price, *_) = terms["items"], terms["deal"]["prices"]
    for number in range(200):
        name = f"cut-{number:03d}"
        terms["items"].append({**first, "id": name})
        terms["deal"]["prices"].append({**price, "item": name})
    terms["items"].sort(key=lambda item: item["id"])
    long = encode(terms)
    monkeypatch.setattr("certificate.record.compute_hash", {long: signed_on}.get)
    given = dataclasses.replace(file, law=dataclasses.replace(file.law, terms=long))
    report, root = verify_evidence(raw, chain_id), read_trust_root(file.genesis)
    _, section, _ = describe_record(given, report, root)
    (said,) = section.blocks
    assert isinstance(said, Sentences)
    for language in ("zh", "en"):
        whole = render_terms(parse_terms(long), language).split("\n")
        lines = [line.strip() for line in whole if line.strip()]
        assert len(lines) > 200
        assert [getattr(line, language) for line in said.lines] == lines


# What a file may hold to mislead.

HOSTILE = {
    "right to left": "\u202eabc\u202c",
    "another script": "\u05d0\u0627",
    "control": "a\u0001b\u0000c",
    "nothing to see": "x\u200b\ufeff\u00ad\u2060y",
    "combining": "a\u0489\u0308",
    "markup": '#eval("1") $x$ <script>alert(1)</script> \\u{41} [*b*]',
    "private": "\ue000\U000f0000",
    "no glyph": "\U0002f800\U0001f600",
}


def hostile_chain() -> tuple[bytes, bytes]:
    """A merchant who signs whatever misleads; the chain records it as refused, and keeps it."""
    chain = SmallChain(network="hostile.example")
    data = {"keys": [chain.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    said = {
        "amount": -1,
        **HOSTILE,
        "long": "w" * 9_000,
        "zz": list(range(200)),
        "mobile": "电话13800138000，张",
        "resident": "110101199003070070 11010519491231002X",
        "no resident": "110101199003070071",
    }
    said = {name: value for name, value in said.items() if name != "no glyph"}
    chain.commit(chain.submit("prepaid.prepay", "contract/c", said, "m-1", reference="<b>\u202e甲"))
    chain.commit()
    index = chain.indices_of("contract/c")[0]
    return chain.transaction(index, ("m-1",)).encode(), chain.chain_id


def test_what_misleads_is_shown_by_its_code_and_cut_where_it_is_long() -> None:
    raw, chain_id = hostile_chain()
    made = make(raw, chain_id, "zh")
    assert made.report.is_consistent
    lacks = made.lacks(
        "malformed_data",
        "<b>\\u{202e}甲",
        "\\u{202e}abc\\u{202c}",
        "\\u{5d0}\\u{627}",
        "a\\u{1}b\\u{0}c",
        "x\\u{200b}\\u{feff}\\u{ad}\\u{2060}y",
        "a\\u{489}\\u{308}",
        '#eval("1") $x$ <script>alert(1)</script> \\u{41} [*b*]',
        "\\u{e000}\\u{f0000}",
        f"w…[+{9_000 - TEXT_CHARS_MAX}]",
        "项，见附件",
        "电话138****8000，张",
        "110105********002X",
        "110101199003070071",
    )
    assert lacks == []
    assert "13800138000" not in made.text
    assert not re.search("[\u0000-\u001f\u200b-\u200f\u202a-\u202e\ufeff]", made.text)
    assert len(made.reader.pages) < 10
    assert extract(made.pdf) == raw


def test_an_amount_is_not_taken_for_a_number_to_be_called() -> None:
    total = f"locked {format_fen(1_381_234_567_800).zh}, at most {format_fen(13_812_345_678).en}"
    assert total == "locked 13812345678.00 元, at most 138123456.78 yuan"
    assert "".join(show_text(total)) == total
    assert "".join(show_text("电话13812345678。")) == "电话138****5678。"
    assert "".join(show_text("call 13812345678.")) == "call 138****5678."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("电话138-0013-8000。", "电话138-****-8000。"),
        ("call 138 0013 8000, or 199-0000-1234.", "call 138 **** 8000, or 199-****-1234."),
        ("+86 138 0013 8000", "+86 138 **** 8000"),
        ("+86-138-0013-8000", "+86-138-****-8000"),
        ("+8613800138000 008613800138000", "+86138****8000 0086138****8000"),
        ("0086 150-2026-0101", "0086 150-****-0101"),
        ("139\u20110013\u20118000", "139\u2011****\u20118000"),
    ],
)
def test_a_mobile_number_is_masked_however_it_is_grouped(text: str, shown: str) -> None:
    assert "".join(show_text(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "150-2026-0101",
        "合同 150 2026 0101",
        "HT-138-0013-8000",
        "2026-138-0013-8000",
        "138-0013-8000-2",
        "138-0013-80001",
        "128-0013-8000",
        "138 001 3800",
        "13 800 138 000",
        "138,0013,8000",
        "138.0013.8000",
        "1 380 013.80 元",
    ],
)
def test_what_is_no_mobile_number_beyond_doubt_stands(text: str) -> None:
    assert "".join(show_text(text)) == text


def test_pieces_joined_are_the_text() -> None:
    for text in ("", "短", "a" * 17, "甲" * 40 + "b" * 100 + "，丙", "x y z", "f" * 64):
        assert "".join(show_text(text)) == text
        assert "".join(show_exact(text)) == text
    assert show_exact("ab" * 64) == ["ab" * 32, "ab" * 32]
    assert max(map(len, show_text("a" * 1_000))) <= 8
    assert not is_shown("\u202e")
    assert is_shown("龘")


def test_a_sum_is_shown_in_yuan_whatever_the_member_is_called() -> None:
    chain, raw = test_custody.GOOD["short"]()
    made = make(raw, chain.chain_id, "both")
    assert made.lacks("余额 900.00 元 经营者 m-1", "Balance 900.00 yuan Merchant m-1") == []
    assert "balance90000" not in made.text


def test_a_long_record_is_shown_by_its_ends() -> None:
    raw, chain_id = evidence("history")
    file = read_evidence(raw)
    assert isinstance(file, HistoryFile)
    long = dataclasses.replace(file, entries=(file.entries * 1_500)[:10_000])
    section = describe_record(long, verify_evidence(raw, chain_id), read_trust_root(long.genesis))[
        -1
    ]
    note, table = section.blocks
    assert isinstance(note, Sentences)
    assert isinstance(table, Table)
    assert note.lines == (
        Words(
            "记录较多：此处列出最初 60 条与最后 60 条，中间 9880 条未列出；"
            "全部记录在附件中，并已逐条核验。",
            "The first 60 and the last 60 entries are listed; 9880 between them are not. All are "
            "in the attachment, and each was verified.",
        ),
    )
    assert len(table.rows) == ENTRIES_SHOWN_MAX
    assert [table.rows[at][0] for at in (0, 59, 60, 119)] == ["1", "60", "9941", "10000"]


# Tools of others.


def test_an_outside_validator_finds_pdf_a_3a_and_pdf_ua_1(tmp_path: Path) -> None:
    verapdf = shutil.which("verapdf")
    if verapdf is None:
        pytest.skip(
            "needs veraPDF on the PATH (CAMPAIGN=1 .ci/run installs it, with Java and Maven)"
        )
    raw, chain_id = hostile_chain()
    for name, made in (
        ("transaction", paper("transaction", "zh")),
        ("history", paper("history", "both")),
        ("case", paper("case", "both")),
        ("refuted", refuted()),
        ("hostile", make(raw, chain_id, "both")),
    ):
        (tmp_path / f"{name}.pdf").write_bytes(made.pdf)
    for flavour, count in (("3a", 5), ("ua1", 1)):
        answer = subprocess.run(
            [verapdf, "-f", flavour, *sorted(tmp_path.glob("*.pdf"))[:count]],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        assert re.findall(r'isCompliant="(\w+)"', answer) == ["true"] * count, answer


def test_the_code_reads_as_the_two_hashes(tmp_path: Path) -> None:
    tools = [shutil.which(name) for name in ("pdftoppm", "zbarimg")]
    if None in tools:
        pytest.skip("needs pdftoppm and zbarimg (poppler-utils, zbar-tools)")
    made = paper("transaction", "zh")
    (tmp_path / "c.pdf").write_bytes(made.pdf)
    page = tmp_path / "page"
    subprocess.run(
        [str(tools[0]), "-r", "150", "-l", "1", "-png", "-singlefile", tmp_path / "c.pdf", page],
        check=True,
    )
    read = subprocess.run(
        [str(tools[1]), "--quiet", "--raw", page.with_suffix(".png")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert read == (
        f"EVIDENCE-LEDGER/CERTIFICATE/V1 SHA256:{sha256(made.evidence).hexdigest().upper()} "
        f"GENESIS:{busy_chain().chain_id.hex().upper()}"
    )
