"""Submitting many transactions: signed, sent to several nodes, in the order that matters.

Transactions of one stream depend on one another (what is consumed was prepaid before), those of
different streams do not. So they go in rounds: in each round the next transaction of every stream,
and the next round begins when this one is on the chain. A round's transactions of one submitter are
signed one by one, or all under one batch signature. A node that does not answer is left out and its
share goes to the next one; sending twice is harmless, because the answer is the same position.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from cli.client import ApiError, Client, Unreachable
from cli.drafts import Draft, Item, SignedItem, complete_body
from cli.failure import Failure, unusable
from cli.progress import Progress
from cli.promises import PromiseBook
from genesis.document import Genesis
from ledger.canonical import INTEGER_MAX
from ledger.signing import Signer
from ledger.transaction import (
    compute_tx_id,
    decode_transaction,
    sign_batch,
    sign_transaction,
)
from verifier.wording import describe_finding, describe_refusal

POST_COUNT_MAX: Final = 500
"""Transactions of one request; the API takes a thousand."""

LATER: Final = frozenset({429, 503})

HEIGHTS_ZH: Final = {"height": "高度", "certified_height": "已认证高度"}

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one transaction."""

    tx_id: str
    kind: str
    stream: str
    reference: str
    signer: str
    status: str
    """applied, refused (recorded on the chain), or rejected (not taken in)."""
    code: str
    detail: str = ""
    detail_zh: str = ""
    height: int = -1
    index: int = -1
    node: str = ""
    effects: tuple[tuple[str, int | str], ...] = ()
    """What it did, findings among it; nothing where the token does not cover it."""

    @property
    def findings(self) -> list[str]:
        """Rules that were broken, in the order in which the outcome names them."""
        return [str(value) for name, value in self.effects if name == "finding"]

    @property
    def why_zh(self) -> str:
        """Why it was not applied, in Chinese, without a full stop."""
        if self.status == "rejected":
            return (self.detail_zh or self.code).rstrip("。")
        return describe_refusal(self.code, self.effects).zh


@dataclass(slots=True)
class _Ready:
    """A signed transaction on its way."""

    envelope: bytes
    tx_id: str
    item: Item


@dataclass(slots=True)
class Submitter:
    """Signs with the keys it is given and sends to the nodes it is given."""

    genesis: Genesis
    clients: Sequence[Client]
    signers: Mapping[str, Signer]
    now_ms: Callable[[], int]
    is_batch: bool = False
    level: str = "committed"
    promises: PromiseBook | None = None
    """Where the nodes' receipts are kept, if they are."""
    tx_ids: dict[tuple[str, str], str] = field(default_factory=dict)
    """Transaction id by (first signer, reference), the first of each."""
    settled: list[Result] = field(default_factory=list)
    """Of everything that has a result, in the order in which it came; what stays of a submission
    that is broken off."""
    _gone: set[str] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def submit(
        self, items: Sequence[Item], progress: Progress, *, is_ordered: bool = True
    ) -> list[Result]:
        """Submit everything; return the results in the order of the items."""
        missing = sorted(
            {who for item in items if isinstance(item, Draft) for who in item.signers}
            - set(self.signers)
        )
        if missing:
            raise unusable(
                f"No key is given for {', '.join(missing)}.",
                f"未给出以下主体的密钥：{'、'.join(missing)}。",
            )
        rounds = plan_rounds(items) if is_ordered else [list(range(len(items)))]
        _check_drafts((items[place] for places in rounds for place in places), dict(self.tx_ids))
        results: dict[int, Result] = {}
        for places in rounds:
            ready = self._sign([items[place] for place in places])
            for place, result in zip(places, self._send(ready, progress), strict=True):
                results[place] = result
        ordered = [results[place] for place in range(len(items))]
        if self.level == "certified":
            self._wait_certified(ordered)
        return ordered

    # Signing

    def _sign(self, items: Sequence[Item]) -> list[_Ready]:
        """Complete and sign a round, in its order."""
        window_ms = self.genesis.parameters.replay_window_ms
        not_after = self.now_ms() + window_ms // 2
        ready: list[_Ready | None] = [None] * len(items)
        batches: dict[str, list[tuple[int, bytes]]] = {}
        for place, item in enumerate(items):
            if isinstance(item, SignedItem):
                tx_id = decode_transaction(item.envelope).tx_id.hex()
                ready[place] = _Ready(item.envelope, tx_id, item)
                continue
            body, tx_id = _complete(item, not_after, self.tx_ids)
            if self.is_batch and len(item.signers) == 1:
                batches.setdefault(item.signers[0], []).append((place, body))
                continue
            signers = [self.signers[who] for who in item.signers]
            envelope = sign_transaction(body, self.genesis.chain_id, signers)
            ready[place] = _Ready(envelope, tx_id, item)
        for who, pairs in batches.items():
            envelopes = sign_batch(
                [body for _, body in pairs], self.genesis.chain_id, self.signers[who]
            )
            for (place, body), envelope in zip(pairs, envelopes, strict=True):
                ready[place] = _Ready(envelope, compute_tx_id(body).hex(), items[place])
        return [one for one in ready if one is not None]

    # Sending

    def _send(self, ready: Sequence[_Ready], progress: Progress) -> list[Result]:
        """Send a round, each node its share, and wait until it is on the chain."""
        count = len(self.clients)
        shares = [list(ready[at::count]) for at in range(count)]
        with ThreadPoolExecutor(max_workers=count) as pool:
            found = dict(
                pair
                for pairs in pool.map(
                    lambda at: self._send_share(at, shares[at], progress), range(count)
                )
                for pair in pairs
            )
        return [found[id(one)] for one in ready]

    def _send_share(
        self, at: int, share: Sequence[_Ready], progress: Progress
    ) -> list[tuple[int, Result]]:
        pairs: list[tuple[int, Result]] = []
        for start in range(0, len(share), POST_COUNT_MAX):
            part = share[start : start + POST_COUNT_MAX]
            refusals = self._post(at, part)
            for one in part:
                result = refusals.get(one.tx_id) or self._settle(at, one)
                pairs.append((id(one), result))
                self.settled.append(result)
                progress.advance()
        return pairs

    def _post(self, at: int, part: Sequence[_Ready]) -> dict[str, Result]:
        """Post a part at once; return what was refused for good."""
        envelopes = [one.envelope for one in part]
        url, whole = self.ask(at, lambda client: (client.url, client.post_batch(envelopes)))
        if self.promises is not None:
            self.promises.keep_batch(url, envelopes, whole)
        refusals = {}
        for one, answer in zip(part, whole["results"], strict=True):
            problem = answer.get("problem")
            if problem is not None and answer["http_status"] not in LATER:
                reason = str(problem["type"]).rpartition(":")[2]
                refusals[one.tx_id] = _result(
                    one,
                    "rejected",
                    reason,
                    str(problem["detail"]),
                    detail_zh=str(problem.get("detail_zh", "")),
                )
        return refusals

    def _settle(self, at: int, one: _Ready) -> Result:
        try:
            place = self.ask(at, lambda client: self._settle_at(client, one.envelope))
        except ApiError as error:
            return _result(one, "rejected", error.reason, error.detail, detail_zh=error.detail_zh)
        effects = tuple((str(name), value) for name, value in place.get("effects", ()))
        return _result(
            one,
            place["status"],
            place["code"],
            "",
            place["height"],
            place["index"],
            place[""],
            effects,
        )

    def _settle_at(self, client: Client, envelope: bytes) -> dict[str, Any]:
        """Return the position, and under "" the node that told it."""

        def keep(answer: dict[str, Any]) -> None:
            if self.promises is not None:
                self.promises.keep_answer(client.url, envelope, answer)

        return {**client.settle(envelope, meanwhile=keep), "": client.url}

    def ask(self, at: int, ask: Callable[[Client], Answer]) -> Answer:
        """Ask the node of this place; if it is gone, the next ones in turn.

        A node that did not answer once is not asked again. Raises `Failure` when none is left.
        """
        last: Unreachable | None = None
        for step in range(len(self.clients)):
            client = self.clients[(at + step) % len(self.clients)]
            if client.url in self._gone:
                continue
            try:
                return ask(client)
            except Unreachable as error:
                last = error
                with self._guard:
                    self._gone.add(client.url)
        english, chinese = (last.english, last.chinese) if last is not None else ("", "")
        raise Failure(f"No node answers any more. {english}".rstrip(), f"已没有节点应答。{chinese}")

    @property
    def left_out(self) -> list[str]:
        """URLs of the nodes that did not answer."""
        return sorted(self._gone)

    def wait_everywhere(self, height: int, name: str = "height") -> None:
        """Wait until every node that answers has come to a height; see `wait_height`."""
        for at in range(len(self.clients)):
            self.ask(at, lambda client: wait_height(client, height, name))

    def _wait_certified(self, results: Sequence[Result]) -> None:
        """Wait until a certified checkpoint covers the highest block of all of these.

        At every node that answers: whoever asks one next finds there what was just submitted.
        """
        height = max((result.height for result in results), default=-1)
        if height >= 0:
            self.wait_everywhere(height, "certified_height")


def _result(
    one: _Ready,
    status: str,
    code: str,
    detail: str = "",
    height: int = -1,
    index: int = -1,
    node: str = "",
    effects: tuple[tuple[str, int | str], ...] = (),
    detail_zh: str = "",
) -> Result:
    item = one.item
    return Result(
        tx_id=one.tx_id,
        kind=item.kind,
        stream=item.stream,
        reference=item.reference,
        signer=item.signers[0],
        status=status,
        code=code,
        detail=detail,
        detail_zh=detail_zh,
        height=height,
        index=index,
        node=node,
        effects=effects,
    )


def plan_rounds(items: Sequence[Item]) -> list[list[int]]:
    """Return the places of each round's items: the n-th of every stream is in round n."""
    seen: Counter[str] = Counter()
    rounds: list[list[int]] = []
    for place, item in enumerate(items):
        at = seen[item.stream]
        seen[item.stream] += 1
        if at == len(rounds):
            rounds.append([])
        rounds[at].append(place)
    return rounds


def _check_drafts(items: Iterable[Item], tx_ids: dict[tuple[str, str], str]) -> None:
    """Raise `Failure` for the first draft that cannot be completed, before anything is sent.

    `tx_ids` has those of transactions submitted earlier, and grows.
    """
    for item in items:
        if isinstance(item, Draft):
            _complete(item, INTEGER_MAX, tx_ids)


def _complete(
    draft: Draft, not_after: int, tx_ids: dict[tuple[str, str], str]
) -> tuple[bytes, str]:
    """Return a draft's body and transaction id, which later drafts may name."""
    body = complete_body(draft, not_after, tx_ids)
    tx_id = compute_tx_id(body).hex()
    tx_ids.setdefault((draft.signers[0], draft.reference), tx_id)
    return body, tx_id


def wait_height(client: Client, height: int, name: str = "height", timeout_s: float = 60) -> int:
    """Wait until a node's `height` (or `certified_height`) has come to `height`."""
    deadline = time.monotonic() + timeout_s
    while True:
        now = int(client.status()[name])
        if now >= height:
            return now
        if time.monotonic() > deadline:
            raise Unreachable(
                f"{client.url} is at {name} {now} and did not come to {height}.",
                f"{client.url} 的{HEIGHTS_ZH[name]}为 {now}，未能到达 {height}。",
            )
        time.sleep(0.02)


def summarise(results: Sequence[Result]) -> list[str]:
    """Return the sentences that say what became of a submission, of each reason the first case."""
    by_status = Counter(result.status for result in results)
    counts = (
        f"{by_status['applied']} applied, {by_status['refused']} recorded as refused, "
        f"{by_status['rejected']} not taken in. "
        f"已执行 {by_status['applied']} 笔，被拒绝但已留痕 {by_status['refused']} 笔，"
        f"未收下 {by_status['rejected']} 笔。"
    )
    sentences = [counts]
    for status, text, text_zh in (
        ("refused", "Recorded as refused", "以上被拒绝，已留痕。"),
        ("rejected", "Not taken in", "以上未收下。"),
    ):
        of_status = [result for result in results if result.status == status]
        sentences += _list_reasons(text, text_zh, [(result.code, result) for result in of_status])
    found = [(finding, result) for result in results for finding in result.findings]
    return sentences + _list_reasons("Findings", "以上为发现事项。", found)


def _list_reasons(text: str, text_zh: str, cases: Sequence[tuple[str, Result]]) -> list[str]:
    """Return how often each reason occurs, and the first case of each in words."""
    if not cases:
        return []
    counted = Counter(reason for reason, _ in cases).most_common()
    first = dict(reversed(cases))
    listed = ", ".join(f"{reason} ({count})" for reason, count in counted)
    told = [f"  {first[reason].stream}: {_tell(reason, first[reason])}" for reason, _ in counted]
    return [f"{text}: {listed}. {text_zh}", *told]


def _tell(reason: str, result: Result) -> str:
    """Return why in Chinese and English; what was not taken in has the node's own sentences."""
    if result.status == "rejected":
        return f"{result.why_zh}。 {result.detail or reason}."
    if result.status == "refused":
        why = describe_refusal(reason, result.effects)
    else:
        why = describe_finding(reason)
    return f"{why.zh}。 {why.en[:1].upper()}{why.en[1:]}."
