"""The page in a real browser: what a clerk sees, and that nothing leaves it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificate.attachment import ATTACHMENT_NAME
from ledger.evidence import FILE_BYTES_MAX
from page.build import build_page
from tests.page.browser import CHROMIUM, DRIVER, Browser, start_browser
from tests.page.differential import UNCOMPARED
from tests.verifier import (
    test_disclosure,
    test_findings,
    test_history,
    test_liabilities,
    test_owed,
    test_platform_statement,
    test_post_quantum,
    test_proofs,
    test_statement,
    test_timestamps,
)
from tests.verifier.mutating import CARD, honest
from tests.verifier.small_chain import CARD_SIGNERS, SmallChain, busy_chain
from tests.verifier.statements import PAYLOAD, card_chain, good, register, statement_of
from verifier.law_steps import Working
from verifier.verify import STEPS, verify_evidence

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="the page's tests in a browser need `chromium` and `chromedriver` on PATH",
    ),
    pytest.mark.xdist_group("browser"),
]

TAB, ENTER = "\ue004", "\ue007"
SEVERAL_SECONDS = 3_000
"""Entries of a contract that keep the page busy long enough to be looked at meanwhile."""

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>\u202eevil'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_browser() as started:
        yield started


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Browser:
    """The page, opened from a file, on a desktop in light colours."""
    file = tmp_path / "verify.html"
    file.write_bytes(build_page())
    browser.look(1200, 900, "light")
    browser.open(file.as_uri())
    browser.requests()
    return browser


def trust(page: Browser, chain: SmallChain) -> None:
    page.type_into("#genesis", chain.chain_id.hex())


def shown(page: Browser, raw: bytes, path: Path) -> str:
    """Drop a file, wait for its result, and return the verdict."""
    path.write_bytes(raw)
    page.drop(path, "#drop")
    page.wait_for(
        "const shown = document.querySelector('#conclusion dd');"
        f"return shown && shown.innerText === {json.dumps(path.name)}"
        " && document.getElementById('announcement').innerText !== ''"
    )
    return page.text(".verdict")


def test_a_good_history(page: Browser, tmp_path: Path) -> None:
    chain = busy_chain()
    trust(page, chain)
    raw = chain.history("card-1", CARD_SIGNERS)
    assert shown(page, raw, tmp_path / "card-1.history.json") == "Consistent"
    report = verify_evidence(raw, chain.chain_id)
    assert page.texts(".steps h3") == ["the file can be read", *[name.en for _, name, _ in STEPS]]
    assert page.texts(".steps p") == [step.explanation.en for step in report.steps]
    assert page.texts(".steps .mark") == ["ok"] * 10 + ["not run", "ok", "ok", "not run", "not run"]
    assert page.texts("#conclusion li") == [limit.en for limit in report.limits]
    assert report.file_sha256 in page.text("#conclusion dl")
    assert len(page.texts(".timeline li")) == 7
    assert page.texts(".timeline .balances")[1] == (
        "after it: paid 1000.00 yuan · locked 1000.00 yuan · "
        "released 0.00 yuan · refunded 0.00 yuan"
    )
    assert page.texts(".timeline .why") == [
        "recorded as refused: there is no such contract · stream = contract/card-1",
        (
            "recorded as refused: less is locked than was asked for · locked 900.50 yuan · "
            "amount 999.99 yuan"
        ),
    ]
    assert page.run("return document.querySelectorAll('#path svg').length") == 1
    assert "whatever came after height 5" in page.text("#contents")
    assert "7 entries, each with body, signatures and outcome" in page.text("#contents")
    assert page.requests() == []


def test_a_good_transaction_in_chinese(page: Browser, tmp_path: Path) -> None:
    trust(page, busy_chain())
    raw = honest().encode()
    assert shown(page, raw, tmp_path / "t.evidence.json") == "Consistent"
    page.click("#language")
    page.wait_for("return document.querySelector('.verdict').innerText === '一致'")
    assert page.run("return document.documentElement.lang") == "zh-CN"
    report = verify_evidence(raw, busy_chain().chain_id)
    assert page.texts(".steps p") == [step.explanation.zh for step in report.steps]
    assert page.texts(".steps h3") == ["文件可读", *[name.zh for _, name, _ in STEPS]]
    assert page.run("return document.querySelectorAll('#path svg').length") == 2
    assert page.requests() == []
    assert page.run("return [localStorage.length, document.cookie]") == [0, ""]


@pytest.mark.parametrize(
    ("name", "entries"),
    [("consistency", 0), ("absence-0", 0), ("window", 4), ("equivocation-fork", 0)],
)
def test_a_file_of_each_newer_kind(page: Browser, tmp_path: Path, name: str, entries: int) -> None:
    chain, raw = test_proofs.GOOD[name]()
    trust(page, chain)
    assert shown(page, raw, tmp_path / f"{name}.evidence.json") == "Consistent"
    report = verify_evidence(raw, chain.chain_id)
    assert page.texts(".steps p") == [step.explanation.en for step in report.steps]
    assert page.texts("#conclusion li") == [limit.en for limit in report.limits]
    assert page.texts("#conclusion .answer") == [report.steps[-1].explanation.en]
    assert len(page.texts(".timeline li")) == entries
    assert sum(when.startswith("recorded ") for when in page.texts(".timeline .when")) == entries
    told = {
        "consistency": "an older checkpoint, and the proof from there to this one",
        "absence-0": "contract/none-0",
        "window": "The entries in this file: numbers 2 to 5 of 7",
        "equivocation-fork": "two signed statements of one validator",
    }
    assert told[name] in page.text("main")
    assert ("before it was put on the chain" in page.text("#contents")) == (
        name != "equivocation-fork"
    )
    assert page.requests() == []


def test_what_is_owed_is_worked_again_and_shown(page: Browser, tmp_path: Path) -> None:
    page.type_into("#genesis", test_owed.world().chain_id.hex())
    raw = test_owed.file()
    assert shown(page, raw, tmp_path / "card.case.json") == "Consistent"
    report = verify_evidence(raw, test_owed.world().chain_id)
    assert page.texts(".steps p")[13] == report.steps[13].explanation.en + UNCOMPARED["en"]
    assert "does not write that working" in page.text("#conclusion")
    assert isinstance(report.working, Working)
    results = report.working.derivation.results
    assert [[yuan(cell) for cell in row] for row in sums_shown(page)] == [
        [one.figures.principal, one.figures.custody, one.figures.merchant] for one in results
    ]
    assert page.texts("#owed tbody td:nth-child(3)") == [
        "the deliveries objected to happened (art. 25)",
        "they did not happen (art. 25)",
    ]
    assert page.texts("#owed tbody tr:first-child td:nth-child(2) p") == [
        "ended (arts 13, 15)",
        "the merchant's cause",
    ]
    assert "which what is owed follows" in page.text("#contents")
    assert "the terms and vouchers themselves" not in page.text("#contents")
    page.click("#language")
    page.wait_for("return document.getElementById('owed-title').innerText === '应退金额（元）'")
    assert page.texts("#owed tbody td:nth-child(3)")[1] == "有异议的提供并未发生（第二十五条）"
    assert len(sums_shown(page)) == len(results)
    assert page.requests() == []


def sums_shown(page: Browser) -> list[list[str]]:
    """Principal, from custody and from the merchant, of each result."""
    columns = [page.texts(f"#owed tbody td:nth-child({n}) p:first-child") for n in (4, 6, 7)]
    return [list(row) for row in zip(*columns, strict=True)]


def yuan(text: str) -> int:
    """Fen of an amount as the page writes it."""
    return int(text.replace(".", ""))


def test_a_figure_that_liars_put_on_the_chain(page: Browser, tmp_path: Path) -> None:
    page.type_into("#genesis", test_owed.world().chain_id.hex())
    raw = test_owed.lied("due_low", lambda value: value - 1)()
    assert shown(page, raw, tmp_path / "card.case.json") == "Inconsistent"
    report = verify_evidence(raw, test_owed.world().chain_id)
    assert report.failed is not None
    assert report.failed.explanation.en in page.text("#conclusion")
    assert page.texts("#owed") == []


def test_a_contract_in_its_merchants_total(page: Browser, tmp_path: Path) -> None:
    world = test_liabilities.world()
    trust(page, world)
    raw = test_liabilities.one()
    assert shown(page, raw, tmp_path / "k-4.claim.json") == "Consistent"
    report = verify_evidence(raw, world.chain_id)
    assert page.texts(".steps p") == [step.explanation.en for step in report.steps]
    assert page.texts(".steps .number") == ["1", "2", "3", "4", "5", "16", "17"]
    assert page.texts("#conclusion li") == [limit.en for limit in report.limits]
    assert page.texts("#conclusion .answer") == [s.explanation.en for s in report.steps[-2:]]
    assert page.texts(".timeline") == []
    assert "whose the other 6 contracts of merchant m-1 are" in page.text("#contents")
    assert "the amounts of 1 contract and their paths in the total" in page.text("#contents")
    spoilt = test_liabilities.MUTATIONS["one-fen-less-locked"][0]()
    assert shown(page, spoilt, tmp_path / "less.claim.json") == "Inconsistent"
    assert page.text("#conclusion").count("Step 17 failed: contracts in the total") == 1
    assert page.requests() == []


def test_a_tampered_file(page: Browser, tmp_path: Path) -> None:
    trust(page, busy_chain())
    kept = test_history.entries()
    raw = busy_chain().history("card-1", CARD_SIGNERS, entries=[*kept[:4], *kept[5:]])
    assert shown(page, raw, tmp_path / "cut.history.json") == "Inconsistent"
    assert page.text("#conclusion").count("Step 12 failed: completeness") == 1
    assert "The state counts 7 entries and the file holds 6: 1 missing." in page.text("#steps")
    assert "[reason: root_mismatch]" in page.text(".steps .failed")
    assert page.texts(".steps .mark")[11:13] == ["failed", "not run"]
    assert page.texts(".timeline") == []
    flipped = honest().encode().replace(b"AA", b"AB", 1)
    assert shown(page, flipped, tmp_path / "bit.evidence.json") in ("Inconsistent", "Unusable")
    assert shown(page, b"II*\0", tmp_path / "scan.tiff") == "Unusable"
    assert page.text("#conclusion li") == ""


def test_another_hash_is_another_trust(page: Browser, tmp_path: Path) -> None:
    page.type_into("#genesis", "0" * 63)
    assert page.text("#genesis-state") == "64 hex digits are expected, not 63 characters."
    path = tmp_path / "t.evidence.json"
    path.write_bytes(honest().encode())
    page.drop(path, "#drop")
    page.wait_for("return document.getElementById('file-state').innerText !== ''")
    assert page.run("return document.getElementById('result').hidden")
    page.type_into("#genesis", "0")
    page.wait_for("return document.querySelector('.verdict')?.innerText === 'Inconsistent'")
    assert "Step 2 failed: the trusted genesis" in page.text("#conclusion")


def test_a_transparent_statement(page: Browser, tmp_path: Path) -> None:
    made = good()
    trust(page, made.chain)
    raw = made.transparent()
    assert shown(page, raw, tmp_path / "visit.cose") == "Consistent"
    report = verify_evidence(raw, made.chain.chain_id)
    assert page.texts(".steps p") == [step.explanation.en for step in report.steps]
    assert page.texts(".steps .number")[-2:] == ["23", "24"]
    assert page.texts("#conclusion li") == [limit.en for limit in report.limits]
    facts = report.facts
    assert page.texts("#statement dd") == [
        "m-1",
        str(facts["statement_subject"]).rpartition(":")[2],
        "text/plain; charset=utf-8",
        facts["statement_payload_sha256"],
        facts["statement_sha256"],
        "Bank 0 (bank-0), Bank 2 (bank-2)",
    ]
    assert page.text("#statement .said") == PAYLOAD.decode()
    assert "the statement (COSE) of issuer m-1, with 2 receipts" in page.text("#contents")
    page.click("#language")
    page.wait_for("return document.querySelector('#statement h2').innerText === '声明'")
    assert page.texts(".steps p") == [step.explanation.zh for step in report.steps]
    assert "第0银行（bank-0）、第2银行（bank-2）" in page.texts("#statement dd")
    page.click("#language")
    made = test_statement.hashed()
    page.run("document.getElementById('genesis').value = ''")
    trust(page, made.chain)
    assert shown(page, made.transparent(), tmp_path / "hash.cose") == "Consistent"
    assert page.texts("#statement dd")[0] == "Bank 1 (bank-1)"
    assert page.texts("#statement .said") == []
    assert "the document itself: the statement has its SHA-256 only" in page.text("#contents")
    assert page.requests() == []


def test_a_file_is_taken_though_the_page_moves_under_it(page: Browser, tmp_path: Path) -> None:
    """As when the report of another file is shown at that moment."""
    chain = busy_chain()
    trust(page, chain)
    raw = honest().encode()
    assert shown(page, raw, tmp_path / "first.evidence.json") == "Consistent"
    path = tmp_path / "second.evidence.json"
    path.write_bytes(raw)
    page.run("scrollTo(0, 0)")
    page.drop(path, "#drop", before="scrollBy(0, 500)")
    assert page.text("#file-state").startswith(path.name)


def test_what_a_statement_says_is_only_text(page: Browser, tmp_path: Path) -> None:
    chain, about = card_chain()
    statement = statement_of(chain, "m-1", about)
    statement.header[3] = "text/html"
    statement.payload = f"{HOSTILE}\r\nsecond\tline".encode()
    made = register(chain, statement, about, "m-1")
    trust(page, chain)
    assert shown(page, made.transparent(), tmp_path / "s.cose") == "Consistent"
    assert page.text("#statement .said") == (
        HOSTILE.replace("\u202e", r"\u{202e}") + "\nsecond" + r"\u{9}line"
    )
    assert page.run("return document.querySelectorAll('img, #result script').length") == 0
    statement.payload = b"\xff\xfe"
    made = register(chain, statement, about, "m-1")
    assert shown(page, made.transparent(), tmp_path / "t.cose") == "Consistent"
    assert page.text("#statement .help") == "The content is no text and is not shown here; 2 bytes."


HOSTILE_STATEMENTS = {
    b"\xd2" + b"\x84" * 100_000: "not CBOR as it must be: nested deeper than 8 levels.",
    b"\xd2\x9b" + b"\xff" * 8: "not CBOR as it must be: it ends within the value at byte 10.",
    b"\xd2\x84\x43abc": "not CBOR as it must be: it ends within the value at byte 6.",
    b"\xd2\x7a\x01\0\0\0" + b"a" * 2**24: "a COSE_Sign1 is an array of four.",
}


def test_a_hostile_statement_gets_a_sentence(page: Browser, tmp_path: Path) -> None:
    trust(page, good().chain)
    for place, (raw, said) in enumerate(HOSTILE_STATEMENTS.items()):
        assert shown(page, raw, tmp_path / f"{place}.cose") == "Unusable"
        first = verify_evidence(raw, bytes(32)).steps[0]
        assert first.explanation.en.startswith(f"statement: {said}")
        shown_of_it = f"{first.explanation.en} [reason: {first.reason}]"
        assert page.texts(".steps p")[0] == shown_of_it
        assert page.text("#notice") == ""


def test_the_findings_of_a_case_in_words(page: Browser, tmp_path: Path) -> None:
    trust(page, test_findings.world())
    assert shown(page, test_findings.file(), tmp_path / "card.case.json") == "Consistent"
    assert page.texts("#findings li p:nth-of-type(1)")[1] == (
        "The price of cut was raised from 48.00 to 90.00 yuan without the consumer's recorded "
        "consent."
    )
    assert page.texts("#findings .mark") == ["breach"] * 3
    page.click("#language")
    page.wait_for("return document.querySelector('#findings h2').innerText === '查核发现'")
    assert page.texts("#findings li p:nth-of-type(1)")[1] == (
        "未经消费者同意，cut 由 48.00 元涨至 90.00 元。"
    )
    page.click("#language")


def has_mldsa(page: Browser) -> bool:
    """Whether this browser's WebCrypto has ML-DSA."""
    return bool(
        page.run(
            "return crypto.subtle.generateKey({name: 'ML-DSA-44'}, false, ['sign', 'verify'])"
            ".then(() => true, () => false)"
        )
    )


@pytest.mark.parametrize("name", ["good", *test_post_quantum.MUTATIONS, *test_post_quantum.SIGNED])
def test_post_quantum_cosignatures_are_judged_as_by_the_command(
    page: Browser, tmp_path: Path, name: str
) -> None:
    if not has_mldsa(page):
        pytest.skip("this browser's WebCrypto has no ML-DSA")
    makers = {name: made[0] for name, made in test_post_quantum.MUTATIONS.items()}
    makers |= test_post_quantum.SIGNED | {"good": test_post_quantum.good}
    raw, chain = makers[name](), test_post_quantum.chain()[0]
    trust(page, chain)
    verdict = shown(page, raw, tmp_path / "q.json")
    report = verify_evidence(raw, chain.chain_id)
    assert verdict == ("Consistent", "Inconsistent", "Unusable")[report.exit_status]
    assert report.is_consistent == (name == "good")
    assert page.texts("#conclusion li") == [limit.en for limit in report.limits]
    if report.failed is None:
        assert page.texts(".steps p") == [step.explanation.en for step in report.steps]
    else:
        assert report.failed.reason is not None
        assert f"[reason: {report.failed.reason}]" in page.text(".steps .failed")
        assert report.failed.explanation.en in page.text("#conclusion")


def test_a_file_with_parts_of_its_own_is_verified_too(page: Browser, tmp_path: Path) -> None:
    """Steps that only some files have are told while they run like all others."""
    chain = test_post_quantum.chain()[0]
    trust(page, chain)
    assert shown(page, test_post_quantum.good(), tmp_path / "q.json") == "Consistent"
    assert page.texts(".steps .number")[-1] == "19"
    chain = test_platform_statement.chain()[0]
    page.run("document.getElementById('genesis').value = ''")
    trust(page, chain)
    name = next(iter(test_platform_statement.FILES))
    raw = test_platform_statement.FILES[name][0]()
    assert shown(page, raw, tmp_path / "p.json") == "Consistent"
    assert page.texts(".steps .number")[-1] == "22"


def test_what_is_disclosed_and_what_is_withheld(page: Browser, tmp_path: Path) -> None:
    shown_fields = test_disclosure.show(test_disclosure.FIRST, "name", "health")
    trust(page, test_disclosure.chain())
    raw = test_disclosure.history(shown_fields)
    assert shown(page, raw, tmp_path / "d.json") == "Consistent"
    assert page.texts("#disclosed h3") == ["In the entry at index 4 (height 2), as consumer"]
    assert page.texts("#disclosed dt") == ["Health (health)", "Consumer's name (name)"]
    assert page.texts("#disclosed dd") == ["empty", '"张小宝"']
    assert page.text("#disclosed p.help").startswith(
        "30 of 32 fields are withheld, filled or empty, and proven unchanged: Account number, "
    )
    inside, outside = page.texts("#contents ul")
    assert "2 private fields, disclosed" in inside
    assert "whatever private fields are not disclosed" in outside
    assert "the consumer's identity" not in outside
    page.click("#language")
    page.wait_for("return document.querySelector('#disclosed h2').innerText === '披露的信息'")
    assert page.texts("#disclosed dt") == ["健康信息（health）", "消费者姓名（name）"]
    assert "：银行账号、地址、" in page.text("#disclosed p.help")
    assert page.texts("#disclosed dd") == ["为空", '"张小宝"']
    assert "其后第 8 位的条目另有更正。" in page.text("#disclosed")
    page.click("#language")
    assert page.requests() == []


def test_parts_that_were_added_to_a_file_are_in_it(page: Browser, tmp_path: Path) -> None:
    for raw, chain, said in (
        (test_timestamps.good(), test_timestamps.chain()[0], "2 time stamps"),
        (test_post_quantum.good(), test_post_quantum.chain()[0], "3 post-quantum cosignatures"),
        (
            test_platform_statement.FILES["all"][0](),
            test_platform_statement.chain()[0],
            "4 platform statements",
        ),
    ):
        page.run("document.getElementById('genesis').value = ''")
        trust(page, chain)
        assert shown(page, raw, tmp_path / f"{said}.json") == "Consistent"
        assert said in page.texts("#contents ul")[0]


def test_marks_that_pile_up_are_shown_by_their_codes(page: Browser, tmp_path: Path) -> None:
    """Marks combine without end: set as they are, they lie over lines that are not theirs."""
    chain = SmallChain()
    data = {"keys": [chain.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    chain.commit(
        chain.submit(
            "prepaid.prepay", CARD, {"amount": 1}, "m-1", reference="x" + "\u0338\u20dd" * 30
        )
    )
    (index,) = chain.indices_of(CARD)
    trust(page, chain)
    raw = chain.transaction(index, ["m-1"]).encode()
    assert shown(page, raw, tmp_path / "marks.json") == "Consistent"
    assert r"x\u{338}\u{20dd}\u{338}" in page.text(".steps li:nth-child(7) p")
    page.look(320, 800, "light")
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.run("return document.documentElement.scrollWidth") <= 320


def test_of_several_files_the_first_is_taken_and_it_is_said(page: Browser, tmp_path: Path) -> None:
    trust(page, busy_chain())
    paths = [tmp_path / "first.json", tmp_path / "second.json"]
    for path in paths:
        path.write_bytes(honest().encode())
    page.drop(paths[0], "#drop", paths[1])
    page.wait_for("return document.getElementById('announcement').innerText !== ''")
    assert page.text("#file-state").endswith("One file at a time; the first was taken.")
    page.click("#language")
    assert page.text("#file-state").endswith("一次只核验一份文件；已取第一份。")
    page.click("#language")
    page.drop(paths[1], "#drop")
    assert page.text("#file-state").startswith("second.json")
    assert "One file" not in page.text("#file-state")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("0x" + "a" * 64, "“x” is no hex digit; 64 of 0–9 and a–f are expected."),
        ("a" * 63 + "а", "“а” is no hex digit; 64 of 0–9 and a–f are expected."),
        ("a" * 64 + "\u200b", r"“\u{200b}” is no hex digit; 64 of 0–9 and a–f are expected."),
        ("a" * 63, "64 hex digits are expected, not 63 characters."),
        (" AA\n" * 32, "It has the right form."),
    ],
)
def test_what_is_wrong_with_a_hash_is_said(page: Browser, typed: str, said: str) -> None:
    page.run(
        "const field = document.getElementById('genesis'); field.value = arguments[0];"
        "field.dispatchEvent(new Event('input'));",
        typed,
    )
    assert page.text("#genesis-state") == said


def test_a_result_that_comes_too_late_is_not_announced(page: Browser, tmp_path: Path) -> None:
    """The hash changes while the last path is drawn: nothing of the old conclusion is told."""
    page.run(
        "const digest = SubtleCrypto.prototype.digest;"
        "SubtleCrypto.prototype.digest = async function (...given) {"
        "  if (new Error().stack.includes('walkInclusion') && window.resume === undefined"
        "      && new Error().stack.includes('showPaths'))"
        "    await new Promise((resume) => { window.resume = resume; });"
        "  return digest.apply(this, given); };"
    )
    trust(page, busy_chain())
    path = tmp_path / "t.json"
    path.write_bytes(honest().encode())
    page.drop(path, "#drop")
    page.wait_for("return window.resume !== undefined")
    page.type_into("#genesis", "0")
    page.run("window.resume()")
    page.run("return new Promise((resume) => setTimeout(resume, 100))")
    assert page.text("#announcement") == ""
    assert page.run("return document.getElementById('result').hidden")


def test_hostile_text_is_only_text(page: Browser, tmp_path: Path) -> None:
    chain = SmallChain()
    data = {"keys": [chain.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    more = {"amount": 100, "item": HOSTILE}
    chain.commit(chain.submit("prepaid.prepay", CARD, more, "m-1", reference=HOSTILE[:60]))
    (index,) = chain.indices_of(CARD)
    trust(page, chain)
    title = page.run("return document.title")
    path = tmp_path / "<img src=x onerror=alert(1)>.json"
    assert shown(page, chain.transaction(index, ["m-1"]).encode(), path) == "Consistent"
    assert json.dumps(HOSTILE[:60], ensure_ascii=False) in page.text(".steps li:nth-child(7) p")
    assert r"\u{202e}evil" in page.run("return document.querySelector('.timeline').textContent")
    assert page.run("return document.title") == title
    assert page.run("return document.querySelectorAll('img, #result script').length") == 0
    assert page.requests() == []


def test_the_timeline_says_when_it_happened(page: Browser, tmp_path: Path) -> None:
    """A receipt may reach the chain late: a clerk must not take one time for the other."""
    chain = SmallChain()
    data = {"keys": [chain.key("m-1").public_key.hex()], "party": "m-1", "role": "merchant"}
    chain.commit(chain.submit("party.register", "party/m-1", data, "bank-0"))
    for more in ({"occurred_at": 1_757_124_000_000}, {"occurred_at": 0}, {}):
        chain.commit(chain.submit("prepaid.prepay", CARD, {"amount": 100} | more, "m-1"))
    trust(page, chain)
    raw = chain.history("card-1", ["m-1"])
    assert shown(page, raw, tmp_path / "late.history.json") == "Consistent"
    assert page.texts(".timeline .happened") == [
        "happened 2025-09-06 02:00:00.000 UTC, as its signers say"
    ]
    page.click("#language")
    page.wait_for("return document.querySelector('.verdict').innerText === '一致'")
    assert page.texts(".timeline .happened") == [
        "发生于北京时间 2025-09-06 10:00:00.000（签名者所述）"
    ]


def test_a_large_history_keeps_the_page_alive(page: Browser, tmp_path: Path) -> None:
    chain = SmallChain()
    for _ in range(SEVERAL_SECONDS // 1000):
        chain.commit(
            *(chain.submit("prepaid.prepay", CARD, {"amount": 1}, "bank-0") for _ in range(1000))
        )
    path = tmp_path / "large.history.json"
    path.write_bytes(chain.history("card-1", ["bank-0"]))
    page.run(
        "window.seen = new Set();"
        "new MutationObserver(() => seen.add(document.getElementById('progress-label').innerText))"
        ".observe(document.getElementById('progress-label'), { childList: true });"
    )
    trust(page, chain)
    page.drop(path, "#drop")
    page.wait_for("return document.getElementById('announcement').innerText !== ''")
    assert page.text(".verdict") == "Consistent"
    assert f"these {SEVERAL_SECONDS} entries are the whole record" in page.text("#steps")
    assert page.text("#timeline").count("deadline") == 200 + 1
    seen = page.run("return [...seen]")
    assert any(f"Step 8 of {len(STEPS) + 1}: signatures (" in label for label in seen), seen
    assert len(seen) > 10
    # Stopped half-way there is no conclusion, and the page says so.
    page.drop(path, "#drop")
    page.wait_for("return document.getElementById('progress-label').innerText.includes('Step')")
    page.run("document.getElementById('stop').click()")
    assert page.text("#notice") == "Stopped; there is no conclusion."
    assert page.run("return document.getElementById('result').hidden")
    assert page.requests() == []


@pytest.mark.parametrize(
    ("count", "size", "verdict"),
    [(1, 80 * 1024 * 1024, "Unusable"), (40, 2 * 1024 * 1024, "Inconsistent")],
)
def test_a_file_of_long_strings_keeps_the_page_alive(
    page: Browser, tmp_path: Path, count: int, size: int, verdict: str
) -> None:
    """Hashed and read in pieces, and how far it is can be seen; one string too long is refused."""
    chain = busy_chain()
    good = chain.history("card-1", CARD_SIGNERS)
    path = tmp_path / "long.history.json"
    long = b'","'.join([b"A" * size] * count)
    path.write_bytes(good.replace(b'"entries":["', b'"entries":["' + long + b'","'))
    page.run(
        "window.seen = new Set();"
        "new MutationObserver(() => seen.add(document.getElementById('progress-label').innerText))"
        ".observe(document.getElementById('progress-label'), { childList: true });"
    )
    trust(page, chain)
    page.drop(path, "#drop")
    page.wait_for("return document.getElementById('announcement').innerText !== ''")
    assert page.text(".verdict") == verdict
    if count == 1:
        assert "has more than 4194304 bytes" in page.text(".steps li p")
    shares = [label for label in page.run("return [...seen]") if "can be read (" in label]
    assert len(shares) > 5, shares


def test_a_file_beyond_the_bound_is_not_read(page: Browser, tmp_path: Path) -> None:
    trust(page, busy_chain())
    path = tmp_path / "huge.history.json"
    with path.open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)
    page.drop(path, "#drop")
    page.wait_for("return !document.getElementById('notice').hidden")
    assert page.text("#notice") == (
        f"huge.history.json has {FILE_BYTES_MAX + 1} bytes, more than the bound of "
        f"{FILE_BYTES_MAX}; it was not read."
    )


def test_a_certificate_is_told_what_is_in_it(page: Browser, tmp_path: Path) -> None:
    trust(page, busy_chain())
    path = tmp_path / "certificate.pdf"
    path.write_bytes(b"%PDF-1.7\n%\x80\x80\n")
    page.drop(path, "#drop")
    page.wait_for("return !document.getElementById('notice').hidden")
    assert page.text("#notice") == (
        "certificate.pdf is a PDF. A certificate has the evidence file attached: save its "
        f"attachment {ATTACHMENT_NAME} with a PDF reader and drop that here, or run "
        "evidence-ledger verify certificate.pdf."
    )


def test_a_browser_without_ed25519_is_named(page: Browser, tmp_path: Path) -> None:
    script = page.cdp(
        "Page.addScriptToEvaluateOnNewDocument",
        source="SubtleCrypto.prototype.importKey = () => "
        "Promise.reject(new DOMException('', 'NotSupportedError'));",
    )
    page.command("POST", "/refresh")
    page.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
    trust(page, busy_chain())
    path = tmp_path / "t.evidence.json"
    path.write_bytes(honest().encode())
    page.drop(path, "#drop")
    page.wait_for("return document.getElementById('file-state').innerText !== ''")
    page.wait_for("return !document.getElementById('notice').hidden")
    assert page.text("#notice").startswith("This browser's WebCrypto has no working Ed25519")
    assert page.run("return document.getElementById('result').hidden")


def test_the_policy_forbids_what_the_page_never_does(page: Browser) -> None:
    """A script put into the page can reach nobody, and a handler in markup does not run."""
    page.run(
        "window.refused = []; document.addEventListener('securitypolicyviolation',"
        "(event) => refused.push(event.effectiveDirective));"
        "fetch('https://example.org/').catch(() => {});"
        "const image = document.createElement('img'); image.src = 'https://example.org/a.png';"
        "document.body.append(image);"
        "const script = document.createElement('script'); script.textContent = 'window.ran = 1';"
        "document.body.append(script);"
        "const form = document.createElement('form'); form.action = 'https://example.org/';"
        "document.body.append(form); form.submit();"
    )
    found = page.wait_for("return refused.length >= 4 && refused")
    assert {"connect-src", "img-src", "script-src-elem", "form-action"} <= set(found)
    assert page.run("return window.ran ?? null") is None


def test_the_keyboard_alone_is_enough(page: Browser, tmp_path: Path) -> None:
    order = []
    for _ in range(4):
        page.press(TAB)
        order.append(
            page.run("return document.activeElement.id || document.activeElement.className")
        )
    assert order == ["skip", "language", "genesis", "file"]
    assert page.run("return document.activeElement.labels.length") == 1
    path = tmp_path / "t.evidence.json"
    path.write_bytes(honest().encode())
    trust(page, busy_chain())
    page.type_into("#file", str(path))  # what the browser's own file dialogue does
    page.wait_for("return document.getElementById('announcement').innerText !== ''")
    assert page.text("#announcement") == (
        "Verification is over. Conclusion: Consistent. Every step that applies to this file passed."
    )
    page.click("#language")
    page.wait_for("return document.getElementById('announcement').innerText.startsWith('核验完毕')")


def test_names_for_who_hears_the_page(page: Browser, tmp_path: Path) -> None:
    trust(page, busy_chain())
    shown(page, busy_chain().history("card-1", CARD_SIGNERS), tmp_path / "h.json")
    nodes = page.cdp("Accessibility.getFullAXTree")["nodes"]
    named = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    }
    for role, name in (
        ("textbox", "The genesis hash that you trust"),
        ("main", ""),
        ("banner", ""),
        ("contentinfo", ""),
        ("heading", "Evidence verification"),
        ("region", "Conclusion"),
        ("region", "The steps"),
        ("region", "The life of the contract"),
        ("button", "Print"),
    ):
        assert (role, name) in named, sorted(named)
    drawings = [name for role, name in named if role in ("image", "img")]
    assert any(name.startswith("Path of the block's header. From the leaf at") for name in drawings)
    unnamed = [role for role, name in named if role in ("button", "textbox") and not name]
    assert unnamed == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1200])  # 320: WCAG 2.2 (1.4.10)
def test_fits_and_can_be_read(page: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    trust(page, busy_chain())
    shown(page, busy_chain().history("card-1", CARD_SIGNERS), tmp_path / "h.json")
    page.look(width, 800, scheme)
    for _ in ("en", "zh-CN"):
        assert page.run("return document.documentElement.scrollWidth") <= width
        faint = page.run(CONTRAST)
        assert faint == []
        page.click("#language")


CONTRAST = """
const luminance = (rgb) => rgb.map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
const paper = (e) => {
  for (let at = e; at; at = at.parentElement) {
    const rgb = numbers(getComputedStyle(at).backgroundColor);
    if (rgb.length === 3) return rgb;
  }
  return [255, 255, 255];
};
const faint = [];
for (const e of document.querySelectorAll("body *:not(script):not(style):not(noscript)")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || e.namespaceURI.endsWith("svg") || !e.checkVisibility()) continue;
  const [a, b] = [luminance(numbers(getComputedStyle(e).color).slice(0, 3)), luminance(paper(e))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) faint.push([e.className, e.textContent.slice(0, 20), ratio]);
}
return faint;
"""
"""What has less contrast than WCAG 2.2 (1.4.3) asks for text: 4.5 to 1."""


def test_prints(page: Browser, tmp_path: Path) -> None:
    trust(page, busy_chain())
    shown(page, busy_chain().history("card-1", CARD_SIGNERS), tmp_path / "h.json")
    printed = page.print_page()
    assert printed.startswith(b"%PDF-")
    assert 2 <= printed.count(b"/Type /Page\n") <= 5
    page.cdp("Emulation.setEmulatedMedia", media="print")
    assert not page.run("return document.getElementById('examination').checkVisibility()")
    assert page.run("return document.getElementById('conclusion').checkVisibility()")
    # Nothing can be unfolded on paper: what the reader left closed is not there, what is open is.
    page.run("document.querySelector('.timeline details').open = true")
    summaries = page.run(
        "return [...document.querySelectorAll('summary')].map((one) => one.checkVisibility())"
    )
    assert summaries == [True] + [False] * (len(summaries) - 1)
    page.cdp("Emulation.setEmulatedMedia", media="")
