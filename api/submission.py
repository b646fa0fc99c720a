"""Posting transactions: one, or up to a thousand, as JSON or as the envelopes' own MessagePack.

The signature is the credential, so posting needs no token; quotas are the node's. Both forms become
the same envelope bytes before anything is judged. An answer is either the node's signed receipt
(202), the place on the chain (200: it was there already, or the client chose to wait), or a
problem. Whoever posts holds the body, so the answer may say what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.forms import (
    BatchItemForm,
    BatchResultForm,
    BatchSubmissionForm,
    SubmissionForm,
    accepted_form,
    compute_envelope,
    encode_form,
    position_form,
)
from api.media import JSON
from api.ports import Accepted, Intake, Known, LedgerService, Level, Position
from api.problems import REQUEST_ID_KEY, Problem, problem_form, request_instance
from api.requests import (
    BodyBudget,
    read_body,
    read_content_type,
    refuse_repeated_members,
    shown,
)
from api.settings import ApiSettings
from ledger.checkpoint import parse_decimal
from ledger.receipt import BatchReceipt, BatchReceiptForm, batch_receipt_form
from ledger.refusal import Reason
from ledger.shape import describe_shape_zh

T = TypeVar("T")

_submission_decoder = msgspec.json.Decoder(SubmissionForm)
_batch_decoder = msgspec.json.Decoder(BatchSubmissionForm)


class Submission:
    """The two POST routes."""

    def __init__(self, service: LedgerService, settings: ApiSettings) -> None:
        self._service = service
        self._settings = settings
        self._waiting = 0
        self._budget = BodyBudget(settings.bodies_bytes_max)
        self._envelopes_decoder = msgspec.msgpack.Decoder(
            Annotated[list[bytes], msgspec.Meta(max_length=settings.batch_count_max)]
        )

    async def post_transaction(self, request: Request) -> Response:
        """POST /v1/transactions."""
        settings = self._settings
        level, timeout_s = self._read_wait(request)
        content_type = read_content_type(request)
        raw = await read_body(
            request, settings.transaction_bytes_max, settings.body_timeout_s, self._budget
        )
        if content_type == JSON:
            raw = compute_envelope(_decode(_submission_decoder, raw))
        (intake,) = await self._service.submit((raw,), client_of(request))
        if isinstance(intake, Known):
            position = intake.position
            if level == "certified" and not position.certified:
                position = await self.wait(position.tx_id, level, timeout_s) or position
            return _position_response(position)
        if isinstance(intake, Accepted):
            if level is not None:
                reached = await self.wait(intake.tx_id, level, timeout_s)
                if reached is not None:
                    return _position_response(reached)
            return Response(
                encode_form(accepted_form(intake)),
                202,
                headers={"Location": f"/v1/transactions/{intake.tx_id.hex()}"},
                media_type=JSON,
            )
        raise Problem.of(intake.rejected, intake.tx_id, intake.retry_after_s)

    async def post_batch(self, request: Request) -> Response:
        """POST /v1/transactions:batch."""
        settings = self._settings
        content_type = read_content_type(request)
        raw = await read_body(
            request, settings.batch_bytes_max, settings.body_timeout_s, self._budget
        )
        envelopes = self._decode_batch(content_type, raw)
        intakes = await self._service.submit(envelopes, client_of(request))
        instance = request_instance(request.scope)
        request_id = request.scope.get(REQUEST_ID_KEY, "")
        results: list[BatchItemForm] = []
        known = refused = retry_after_s = 0
        for number, intake in enumerate(intakes):
            if isinstance(intake, Accepted):
                results.append(BatchItemForm(202, accepted_form(intake)))
            elif isinstance(intake, Known):
                known += 1
                place = position_form(intake.position, with_body_facts=True)
                results.append(BatchItemForm(200, position=place))
            else:
                refused += 1
                problem = Problem.of(intake.rejected, intake.tx_id, intake.retry_after_s)
                retry_after_s = max(retry_after_s, problem.retry_after_s or 0)
                item = problem_form(problem, f"{instance}#{number}", request_id)
                results.append(BatchItemForm(problem.status, problem=item))
        form = BatchResultForm(
            len(results) - known - refused, known, refused, results, _find_receipt(intakes)
        )
        return Response(
            encode_form(form),
            headers={"Retry-After": str(retry_after_s)} if retry_after_s else None,
            media_type=JSON,
        )

    def _decode_batch(self, content_type: str, raw: bytes) -> Sequence[bytes]:
        count_max = self._settings.batch_count_max
        envelopes: list[bytes]
        if content_type == JSON:
            forms = _decode(_batch_decoder, raw).transactions
            _check_count(len(forms), count_max)
            envelopes = [
                compute_envelope(form, f"transactions[{place}].")
                for place, form in enumerate(forms)
            ]
        else:
            try:
                envelopes = self._envelopes_decoder.decode(raw)
            except msgspec.ValidationError as error:
                if "length" in str(error):
                    raise _too_many(
                        f"more than {count_max}", f"超过 {count_max}", count_max
                    ) from None
                raise _misshapen(error) from None
            except msgspec.DecodeError as error:
                raise Problem(
                    Reason.MALFORMED,
                    f"request body: not MessagePack: {error}",
                    f"请求内容：不是 MessagePack。原文：{error}",
                ) from None
            _check_count(len(envelopes), count_max)
        return envelopes

    def _read_wait(self, request: Request) -> tuple[Level | None, int]:
        settings = self._settings
        wait = request.query_params.get("wait")
        timeout = request.query_params.get("timeout")
        if wait is None:
            if timeout is not None:
                raise Problem(
                    "bad_parameter",
                    "timeout is given without wait=committed or wait=certified",
                    "给出了参数 timeout，却没有 wait=committed 或 wait=certified",
                )
            return None, 0
        if wait not in ("committed", "certified"):
            raise Problem(
                "bad_parameter",
                f"wait is {shown(wait)}; it must be committed or certified",
                f"参数 wait 为 {shown(wait)}；应为 committed 或 certified",
            )
        if timeout is None:
            return wait, settings.wait_timeout_default_s  # type: ignore[return-value]
        timeout_s = parse_decimal(timeout, settings.wait_timeout_max_s)
        if not timeout_s:
            raise Problem(
                "bad_parameter",
                f"timeout is {shown(timeout)}; it must be a whole number of seconds from 1 to "
                f"{settings.wait_timeout_max_s}",
                f"参数 timeout 为 {shown(timeout)}；应为 1 至 {settings.wait_timeout_max_s} 的"
                "整数，单位为秒",
            )
        return wait, timeout_s  # type: ignore[return-value]

    async def wait(self, tx_id: bytes, level: Level, timeout_s: int) -> Position | None:
        """Wait, unless too many do or the server stops; then the receipt has to be enough."""
        if self._waiting >= self._settings.waiters_max:
            return None
        self._waiting += 1
        try:
            return await self._service.wait(tx_id, level, timeout_s)
        except asyncio.CancelledError:  # only a server that stops cancels; the promise stands
            return None
        finally:
            self._waiting -= 1


def _find_receipt(intakes: Sequence[Intake]) -> BatchReceiptForm | msgspec.UnsetType:
    """Return the one receipt that a batch's accepted transactions share."""
    for intake in intakes:
        if isinstance(intake, Accepted) and isinstance(intake.receipt, BatchReceipt):
            return batch_receipt_form(intake.receipt)
    return msgspec.UNSET


def _decode(decoder: msgspec.json.Decoder[T], raw: bytes) -> T:
    try:
        form = decoder.decode(raw)
    except RecursionError:
        raise Problem(
            Reason.TOO_DEEP, "request body: nested too deeply", "请求内容：嵌套层数过多"
        ) from None
    except msgspec.ValidationError as error:
        raise _misshapen(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(
            Reason.MALFORMED,
            f"request body: not JSON: {error}",
            f"请求内容：不是 JSON。原文：{error}",
        ) from None
    refuse_repeated_members(raw)
    return form


def _misshapen(error: msgspec.ValidationError) -> Problem:
    return Problem(
        Reason.MALFORMED, f"request body: {error}", f"请求内容：{describe_shape_zh(str(error))}"
    )


def _check_count(count: int, count_max: int) -> None:
    if not count:
        raise Problem(
            Reason.BAD_FIELD,
            "a batch has at least one transaction; this one has none",
            "一个批次至少含一笔交易；该批次没有交易",
        )
    if count > count_max:
        raise _too_many(str(count), f"有 {count}", count_max)


def _too_many(count: str, count_zh: str, count_max: int) -> Problem:
    return Problem(
        Reason.TOO_LARGE,
        f"a batch of {count} transactions; at most {count_max} are allowed",
        f"该批次{count_zh} 笔交易；至多允许 {count_max} 笔",
    )


def _position_response(position: Position) -> Response:
    return Response(encode_form(position_form(position, with_body_facts=True)), media_type=JSON)


def client_of(request: Request) -> str:
    """Return the peer's address, for quotas and logs."""
    return request.client.host if request.client is not None else "unknown"
