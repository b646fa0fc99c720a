"""A small client of a node's API, as the command line needs it.

Over TLS a node is believed by the authority named (a devnet's own, or the system's); plain HTTP is
spoken to loopback only. A node that says "later" (429, 503) is asked again when it said, until the
time given is over; any other refusal is an `ApiError` with the node's own sentence. Posting is safe
to repeat, because a node answers the same envelope with the same position.
"""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from cli.failure import Failure, unusable
from cli.refusals import no_node
from node.linear_http import use_linear_patterns

PATIENCE_S: Final = 30.0
"""How long a node may say "later": several views of a network that lost its primary."""

WAIT_S: Final = 20
"""What one request asks the node to wait for at most; then it is asked again."""

STREAM_TIMEOUT: Final = httpx.Timeout(120.0, connect=5.0)
"""For the next bytes of an answer that is made while it is sent; a line may wait for its checkpoint
as long as a network needs that has lost its primary."""

LATER: Final = frozenset({429, 503})
LEVELS_ZH: Final = {"committed": "上链", "certified": "取得检查点认证"}
SCITT: Final = {"Accept": "application/cose, application/problem+json"}
MSGPACK: Final = {"Content-Type": "application/msgpack"}

Answer = TypeVar("Answer")


class ApiError(Failure):
    """A node refused: the problem it answered with (RFC 9457)."""

    def __init__(
        self, status: int, reason: str, detail: str, url: str, detail_zh: str = ""
    ) -> None:
        # Where nothing is said in Chinese but the title, the English sentence is quoted in it.
        in_chinese = detail_zh if detail not in detail_zh else detail_zh.partition("原文")[0]
        why = in_chinese.rstrip("。") or "未说明中文原因，详见上一行"
        super().__init__(
            f"{url} answered {status} {reason}: {detail}", f"{url} 答复 {status}：{why}。"
        )
        self.http_status = status
        self.reason = reason
        self.detail = detail
        self.detail_zh = detail_zh


class Unreachable(Failure):
    """No answer came from a node."""


class Client:
    """One node's API. Use it in one thread, as a context manager or with `close`."""

    def __init__(
        self, url: str, *, authority: Path | None = None, token: str = "", patience_s: float = -1
    ) -> None:
        self.url = url.rstrip("/")
        self.patience_s = PATIENCE_S if patience_s < 0 else patience_s
        check_url(self.url)
        use_linear_patterns()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(
            base_url=self.url,
            verify=make_context(self.url, authority),
            headers=headers,
            timeout=httpx.Timeout(WAIT_S + 10.0, connect=5.0),
            trust_env=False,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections."""
        self._http.close()

    # Reading

    def status(self) -> dict[str, Any]:
        """Return how the node is."""
        return self._json("GET", "/v1/status")

    def is_ready(self) -> bool:
        """Say whether the node wants requests now; asked once."""
        try:
            return self._http.get("/readyz", timeout=2.0).status_code == 200
        except httpx.TransportError:
            return False

    def readiness(self) -> str:
        """Return why the node is not ready, or nothing."""
        try:
            answer = self._http.get("/readyz", timeout=2.0)
        except httpx.TransportError as error:
            return f"no answer yet ({error})"
        return "" if answer.status_code == 200 else _problem(answer, self.url).detail

    def genesis(self) -> bytes:
        """Return the genesis document's exact bytes."""
        return self._get("/v1/genesis").content

    def block(self, height: int) -> dict[str, Any]:
        """Return a block's header, certificate and transaction ids."""
        return self._json("GET", f"/v1/blocks/{height}")

    def checkpoint(self) -> str:
        """Return the newest certified checkpoint."""
        return self._get("/checkpoint").text

    def position(self, tx_id: str) -> dict[str, Any] | None:
        """Return where a transaction stands; None if the node does not know it."""
        try:
            return self._json("GET", f"/v1/transactions/{tx_id}")
        except ApiError as error:
            if error.http_status == 404:
                return None
            raise

    def proof(self, tx_id: str) -> bytes:
        """Return a C2SP tlog-proof; waits until it is certified."""
        return self._get(f"/v1/transactions/{tx_id}/proof").content

    def timestamps(self, tx_id: str) -> dict[str, Any]:
        """Return the first timestamped checkpoint that covers a transaction, with its proof."""
        return self._json("GET", f"/v1/transactions/{tx_id}/timestamps")

    def evidence(self, tx_id: str) -> bytes:
        """Return an evidence file; waits until it is certified."""
        return self._get(f"/v1/transactions/{tx_id}/evidence").content

    def history(self, contract_id: str) -> bytes:
        """Return a contract's history file; waits until it is certified."""
        return self._get(f"/v1/contracts/{contract_id}/history").content

    def question(self, contract_id: str, question: Mapping[str, Any]) -> bytes:
        """Return the file that answers a question about a contract's record."""
        return self._request(
            "POST", f"/v1/contracts/{contract_id}/proofs", json=dict(question)
        ).content

    def state(self, stream: str) -> bytes:
        """Return the file of a stream's value or absence; waits until it is certified."""
        return self._get(f"/v1/state/{stream}").content

    def post_quantum(self, size: int) -> bytes:
        """Return the first checkpoint of at least `size` entries with ML-DSA-44 cosignatures."""
        return self._get(f"/v1/checkpoints/{size}/post-quantum").content

    def joined_timestamps(self, size: int) -> bytes:
        """Return the first timestamped checkpoint of at least `size` entries, with the path."""
        return self._request(
            "GET", f"/v1/checkpoints/{size}/timestamps", params={"path": "true"}
        ).content

    def platform(self) -> bytes:
        """Return what the node's institution says of it, signed."""
        return self._get("/v1/platform").content

    def consistency(self, older_height: int, newer_height: int) -> bytes:
        """Return the file that the log only grew between two heights."""
        return self._get(f"/v1/consistency/{older_height}/{newer_height}").content

    def equivocation(self, validator: str, number: int) -> bytes:
        """Return the file of a validator's contradiction, counted from 0."""
        return self._get(f"/v1/validators/{validator}/equivocations/{number}").content

    def claim(self, contract_id: str) -> bytes:
        """Return the evidence that a contract is in its merchant's total."""
        return self._get(f"/v1/contracts/{contract_id}/claim").content

    def claims(self, contract_ids: Sequence[str]) -> bytes:
        """Return the evidence that contracts are in their one merchant's total, unnamed."""
        return self._request("GET", "/v1/claims", params={"contract": list(contract_ids)}).content

    def schedule(self, merchant: str, progress: Callable[[int, int], None]) -> Iterator[bytes]:
        """Yield the bytes of a merchant's schedule as they come; waits until it is certified.

        `progress` is told (lines so far, bytes so far). Raises `ApiError`, `Unreachable`.
        """
        path = f"/v1/merchants/{merchant}/schedule"
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                with self._http.stream("GET", path, timeout=STREAM_TIMEOUT) as answer:
                    if answer.status_code < 400:
                        lines = size = 0
                        for part in answer.iter_bytes():
                            lines += part.count(b"\n")
                            size += len(part)
                            progress(lines, size)
                            yield part
                        return
                    answer.read()
            except httpx.TransportError as error:
                raise self._unreachable(error) from None
            problem = _problem(answer, self.url + path)
            if answer.status_code not in LATER or time.monotonic() >= deadline:
                raise problem
            time.sleep(_retry_after_s(answer.headers))

    def contract(self, contract_id: str) -> dict[str, Any]:
        """Return a contract's record."""
        return self._json("GET", f"/v1/contracts/{contract_id}")

    def private(self, contract_id: str) -> dict[str, Any]:
        """Return a contract's private fields."""
        return self._json("GET", f"/v1/contracts/{contract_id}/private")

    def disclosure(
        self, contract_id: str, names: Sequence[str], commitment: str | None = None
    ) -> bytes:
        """Return a disclosure of some private fields, of the newest record unless one is named."""
        query = {"fields": ",".join(names)} | ({"commitment": commitment} if commitment else {})
        path = f"/v1/contracts/{contract_id}/disclosure"
        return self._request("GET", path, params=query).content

    # Writing

    def put_private(
        self, contract_id: str, fields: Mapping[str, str], replaces: str | None = None
    ) -> dict[str, Any]:
        """Have private fields kept; return their commitment.

        The same once more is refused as a conflict that names the commitment; nothing is kept
        twice.
        """
        body = {"fields": dict(fields), "replaces": replaces}
        return self._json("PUT", f"/v1/contracts/{contract_id}/private", json=body)

    def erase_private(self, contract_id: str) -> dict[str, Any]:
        """Have a contract's private fields destroyed."""
        return self._json("DELETE", f"/v1/contracts/{contract_id}/private")

    def post(self, envelope: bytes, wait: str = "", timeout_s: int = WAIT_S) -> dict[str, Any]:
        """Post one envelope; return its position, or the receipt if it takes longer."""
        query: dict[str, str | int] = {"wait": wait, "timeout": timeout_s} if wait else {}
        return self._json(
            "POST", "/v1/transactions", params=query, content=envelope, headers=MSGPACK
        )

    def register(self, statement: bytes) -> None:
        """Post a SCITT statement with the transaction that registers it."""
        headers = SCITT | {"Content-Type": "application/cose"}
        self._request("POST", "/entries", content=statement, headers=headers)

    def entry_receipt(self, tx_id: str) -> bytes:
        """Return the COSE Receipt of a registered statement's entry; waits until there is one."""
        deadline = time.monotonic() + self.patience_s
        while True:
            answer = self._request("GET", f"/entries/{tx_id}", headers=SCITT)
            if answer.status_code == 200:
                return answer.content
            if time.monotonic() >= deadline:
                raise Unreachable(
                    f"{self.url} has no receipt of entry {tx_id} yet.",
                    f"{self.url} 尚无条目 {tx_id} 的收据。",
                )
            time.sleep(_retry_after_s(answer.headers))

    def post_batch(self, envelopes: Sequence[bytes]) -> dict[str, Any]:
        """Post up to a thousand envelopes; return the answer, with `results` in order."""
        content = msgspec.msgpack.encode(list(envelopes))
        path = "/v1/transactions:batch"
        answer = self._json("POST", path, content=content, headers=MSGPACK)
        results = answer.get("results")
        if not isinstance(results, list) or len(results) != len(envelopes):
            detail, chinese = "there is no result for each transaction", "答复未逐笔给出结果"
            raise ApiError(200, "no_results", detail, self.url + path, chinese)
        return answer

    def settle(
        self,
        envelope: bytes,
        level: str = "committed",
        meanwhile: Callable[[dict[str, Any]], None] = lambda answer: None,
    ) -> dict[str, Any]:
        """Post an envelope until it is on the chain; return its position.

        `meanwhile` is told of each answer that is not it yet. Raises `ApiError` when the node
        refuses it, `Unreachable` when the time is over.
        """
        deadline = time.monotonic() + self.patience_s + WAIT_S
        while True:
            answer = self.post(envelope, level)
            if answer["status"] in {"applied", "refused"} and (
                level != "certified" or answer["certified"]
            ):
                return answer
            meanwhile(answer)
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"{self.url} took {answer['tx_id']} in, and it was not {level} in time.",
                    f"{self.url} 已收下 {answer['tx_id']}，但未能在时限内{LEVELS_ZH[level]}。",
                )

    # Requests

    def _get(self, path: str) -> httpx.Response:
        return self._request("GET", path)

    def _json(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        answer = self._request(method, path, **arguments)
        try:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApiError(
                answer.status_code, "no_json", str(error), self.url + path, "答复不是 JSON"
            ) from None

    def _unreachable(self, error: httpx.TransportError) -> Unreachable:
        """Return the failure of a node that did not answer, with what may help."""
        why = str(error).rstrip(".") or type(error).__name__
        remedy, remedy_zh = "", ""
        if "CERTIFICATE_VERIFY_FAILED" in why:
            remedy = " Name who signed its certificate: --authority PEM."
            remedy_zh = "请以 --authority PEM 指明其证书的签发者。"
        elif isinstance(error, httpx.RemoteProtocolError) and self.url.startswith("http:"):
            remedy, remedy_zh = " It may speak HTTPS: write https://.", "可能须用 https://。"
        return Unreachable(
            f"{self.url} does not answer: {why}.{remedy}", f"{self.url} 没有应答。{remedy_zh}"
        )

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Ask until there is an answer that is not "later", or the patience is over."""
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                answer = self._http.request(method, path, **arguments)
            except httpx.TransportError as error:
                raise self._unreachable(error) from None
            if answer.status_code < 400:
                return answer
            problem = _problem(answer, self.url + path)
            if answer.status_code not in LATER or time.monotonic() >= deadline:
                raise problem
            time.sleep(_retry_after_s(answer.headers))


def ask_first(clients: Iterable[Client], ask: Callable[[Client], Answer]) -> Answer:
    """Return what the first node that answers says; what one refuses, all would.

    Raises `Unreachable` when none answers.
    """
    last: Unreachable | None = None
    for client in clients:
        try:
            return ask(client)
        except Unreachable as error:
            last = error
    raise last or no_node()


def _retry_after_s(headers: Mapping[str, str]) -> float:
    text = headers.get("retry-after", "")
    return min(float(text), 10.0) if text.isdigit() else 0.5


def _problem(answer: httpx.Response, url: str) -> ApiError:
    reason, detail, detail_zh = "", answer.text[:500], ""
    try:
        problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    else:
        reason = str(problem.get("type", "")).rpartition(":")[2]
        detail = str(problem.get("detail", detail))
        detail_zh = str(problem.get("detail_zh", ""))
    return ApiError(answer.status_code, reason, detail, url, detail_zh)


def check_url(url: str) -> None:
    """Raise `Failure` unless this is HTTPS, or HTTP to this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host:
        raise unusable(
            f"{url!r} is not the URL of a node, such as https://node.example:8443.",
            f"{url!r} 不是节点的网址，应如 https://node.example:8443。",
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise unusable(
            f"{url}: plain HTTP is spoken to this machine only; write https://.",
            f"{url}：明文 HTTP 只用于本机；请写 https://。",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def make_context(url: str, authority: Path | None) -> ssl.SSLContext | bool:
    """Return whom to believe: one authority's certificates, or the system's."""
    if not url.startswith("https:"):
        return False
    if authority is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(authority))
    except (OSError, ssl.SSLError) as error:
        raise unusable(
            f"The authority {authority} cannot be read: {error}.",
            f"无法读取签发者证书 {authority}。",
        ) from None
