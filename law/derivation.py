"""A derivation: every figure with the inputs it comes from, so that anybody can work it again.

A `Step` is one line of working: a name, the article, the formula, each input with its source (an
entry of the log, a published page, the terms, an earlier step) and the exact value; where a figure
was rounded, the step says how. Positions of entries are written once, as sets. Results stand side
by side, one for each cause and each set of assumptions that changes a figure. A derivation is a
value with one canonical spelling: two machines that derive from the same entries write the same
bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from law.amounts import Exact, Rounding, show_exact
from law.canonical import INTEGER_MAX, encode, is_beyond_question, quote, to_bytes
from law.days import Day, show_day
from law.value_class import value_class

FORMAT: Final = "evidence-ledger/refund"
VERSION: Final = 1

ASSUMED: Final = "assumed"
"""The contract has not ended: what would be owed if it ended on the as-of day."""

SPEND_ORDER: Final = -1
"""Stands for the agreed order of spending in the list of agreements considered."""

Assumptions = tuple[tuple[str, str], ...]
"""(question, answer), in the order of the questions."""


class Sets:
    """The sets of positions that a derivation speaks of, each written once."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], int] = {(): 0}

    def index(self, positions: tuple[int, ...]) -> int:
        """Return the set's place in the list; 0 is the empty set."""
        return self._known.setdefault(positions, len(self._known))

    def to_document(self) -> list[list[int]]:
        """Return the sets in the order in which they were first spoken of."""
        return [list(positions) for positions in self._known]


class Input(NamedTuple):
    """One value a step uses, and where it stands."""

    name: str
    value: str
    source: str
    """`terms`, `entries`, `published`, `step`, `rule` or `as_of`."""
    positions: tuple[int, ...] = ()
    """Positions of the entries or pages it comes from."""

    def to_document(self, sets: Sets) -> dict[str, Any]:
        """Return the input as it is written."""
        return {
            "name": self.name,
            "set": sets.index(self.positions),
            "source": self.source,
            "value": self.value,
        }

    def write(self, sets: Sets) -> str:
        """Return the canonical text of `to_document`."""
        return (
            f'{{"name":{quote(self.name)},"set":{sets.index(self.positions)},'
            f'"source":{quote(self.source)},"value":{quote(self.value)}}}'
        )


class Step(NamedTuple):
    """One line of working."""

    name: str
    article: str
    formula: str
    inputs: tuple[Input, ...]
    value: str
    rounding: Rounding | None = None

    def to_document(self, sets: Sets) -> dict[str, Any]:
        """Return the step as it is written."""
        rounding = self.rounding
        return {
            "article": self.article,
            "formula": self.formula,
            "inputs": [given.to_document(sets) for given in self.inputs],
            "name": self.name,
            "rounding": None
            if rounding is None
            else {"mode": rounding.mode, "unit": rounding.unit},
            "value": self.value,
        }

    def write(self, sets: Sets) -> str:
        """Return the canonical text of `to_document`."""
        inputs = ",".join([given.write(sets) for given in self.inputs])
        rounding = "null"
        if self.rounding is not None:
            rounding = f'{{"mode":{quote(self.rounding.mode)},"unit":{self.rounding.unit}}}'
        return (
            f'{{"article":{quote(self.article)},"formula":{quote(self.formula)},'
            f'"inputs":[{inputs}],"name":{quote(self.name)},"rounding":{rounding},'
            f'"value":{quote(self.value)}}}'
        )


Number = TypeVar("Number", int, Exact)
"""A number that is noted and given back as it came."""


class Working:
    """Collects the steps of one result."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def exact(self, name: str, article: str, formula: str, value: Number, *inputs: Input) -> Number:
        """Note an exact number and return it."""
        self.steps.append(Step(name, article, formula, inputs, show_exact(value)))
        return value

    def rounded(
        self,
        name: str,
        article: str,
        formula: str,
        value: int,
        rounding: Rounding,
        *inputs: Input,
    ) -> int:
        """Note a rounded amount and return it."""
        self.steps.append(Step(name, article, formula, inputs, str(value), rounding))
        return value

    def text(self, name: str, article: str, formula: str, value: str, *inputs: Input) -> None:
        """Note a day, or that something is not known."""
        self.steps.append(Step(name, article, formula, inputs, value))


Made = TypeVar("Made")


class WorkedOnce(Generic[Made]):
    """What was worked before, with its steps: many combinations of answers have it in common."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Made, list[Step]]] = {}

    def of(self, key: Hashable, working: Working, work: Callable[[Working], Made]) -> Made:
        """Return what `work` comes to, which `key` decides, and note its steps in `working`."""
        known = self._known.get(key)
        if known is None:
            own = Working()
            known = self._known[key] = work(own), own.steps
        made, steps = known
        working.steps.extend(steps)
        return made


def from_terms(name: str, value: Exact | str) -> Input:
    """Return an input that the terms say."""
    return Input(name, value if isinstance(value, str) else show_exact(value), "terms")


def from_step(name: str, value: Exact) -> Input:
    """Return an input that an earlier step came to."""
    return Input(name, show_exact(value), "step")


def from_entries(name: str, value: Exact | str, positions: Sequence[int]) -> Input:
    """Return an input that entries of the log say."""
    shown = value if isinstance(value, str) else show_exact(value)
    return Input(name, shown, "entries", tuple(positions))


@value_class
class Interest:
    """Interest by one standard."""

    standard: str
    fen: int | None
    """None where the rate is not known."""
    outstanding: int | None
    """Principal and interest, less what was paid back, at the as-of day."""

    def to_document(self) -> dict[str, Any]:
        """Return the interest as it is written."""
        return {"fen": self.fen, "outstanding": self.outstanding, "standard": self.standard}

    def write(self) -> str:
        """Return the canonical text of `to_document`."""
        return (
            f'{{"fen":{_whole(self.fen)},"outstanding":{_whole(self.outstanding)},'
            f'"standard":{quote(self.standard)}}}'
        )


@value_class
class Payment:
    """What goes to whom, and from where."""

    payee: str
    """`consumer` (see the derivation's payees) or an issuer's id."""
    source: str
    """`custody` or `merchant`."""
    fen: int

    def to_document(self) -> dict[str, Any]:
        """Return the payment as it is written."""
        return {"fen": self.fen, "payee": self.payee, "source": self.source}

    def write(self) -> str:
        """Return the canonical text of `to_document`."""
        return (
            f'{{"fen":{_whole(self.fen)},"payee":{quote(self.payee)},'
            f'"source":{quote(self.source)}}}'
        )


@value_class
class Figures:
    """What two results must share to be one: every amount that is owed or told."""

    principal: int | None
    """None where a price it depends on is not known."""
    consumer: int = 0
    issuers: tuple[tuple[str, int], ...] = ()
    custody: int = 0
    merchant: int = 0
    interest: tuple[Interest, ...] = ()
    beyond: int = 0


@value_class
class Considered:
    """An agreement, and what it would give."""

    number: int
    """Its place in the terms' `agreements`; −1 for the order in which a bonus is spent."""
    what: str
    fen: int | None
    prevails: bool

    def to_document(self) -> dict[str, Any]:
        """Return the agreement as it is written."""
        return {
            "fen": self.fen,
            "number": self.number,
            "prevails": self.prevails,
            "what": self.what,
        }

    def write(self) -> str:
        """Return the canonical text of `to_document`."""
        return (
            f'{{"fen":{_whole(self.fen)},"number":{self.number},'
            f'"prevails":{"true" if self.prevails else "false"},"what":{quote(self.what)}}}'
        )


@value_class
class Result:
    """What is owed under one route, cause and set of assumptions."""

    route: str
    cause: str
    assumptions: Assumptions
    ended: Day
    figures: Figures
    payments: tuple[Payment, ...]
    considered: tuple[Considered, ...]
    fees: tuple[tuple[int, int], ...]
    """(number of the agreement, fen): agreed fees, which are never deducted."""
    steps: tuple[Step, ...]

    def to_document(self, sets: Sets) -> dict[str, Any]:
        """Return the result as it is written."""
        figures = self.figures
        return {
            "agreements": [one.to_document() for one in self.considered],
            "assumptions": [list(pair) for pair in self.assumptions],
            "beyond": figures.beyond,
            "cause": self.cause,
            "consumer": figures.consumer,
            "custody": figures.custody,
            "ended": show_day(self.ended),
            "fees": [list(pair) for pair in self.fees],
            "interest": [one.to_document() for one in figures.interest],
            "issuers": [list(pair) for pair in figures.issuers],
            "merchant": figures.merchant,
            "payments": [payment.to_document() for payment in self.payments],
            "principal": figures.principal,
            "route": self.route,
            "steps": [step.to_document(sets) for step in self.steps],
        }

    def write(self, write_step: Callable[[Step], str]) -> str:
        """Return the canonical text of `to_document`, with steps as `write_step` writes them."""
        figures = self.figures
        agreements = ",".join([one.write() for one in self.considered])
        assumptions = ",".join([f"[{quote(name)},{quote(it)}]" for name, it in self.assumptions])
        fees = ",".join([f"[{number},{_whole(fen)}]" for number, fen in self.fees])
        interest = ",".join([one.write() for one in figures.interest])
        issuers = ",".join([f"[{quote(issuer)},{_whole(fen)}]" for issuer, fen in figures.issuers])
        payments = ",".join([payment.write() for payment in self.payments])
        return (
            f'{{"agreements":[{agreements}],"assumptions":[{assumptions}],'
            f'"beyond":{_whole(figures.beyond)},"cause":{quote(self.cause)},'
            f'"consumer":{_whole(figures.consumer)},"custody":{_whole(figures.custody)},'
            f'"ended":"{show_day(self.ended)}","fees":[{fees}],"interest":[{interest}],'
            f'"issuers":[{issuers}],"merchant":{_whole(figures.merchant)},'
            f'"payments":[{payments}],"principal":{_whole(figures.principal)},'
            f'"route":{quote(self.route)},"steps":[{",".join(map(write_step, self.steps))}]}}'
        )


@value_class
class Payee:
    """Who is paid the consumer's share, through whom, and if this is open why."""

    payee: str
    through: str
    assumption: str
    positions: tuple[int, ...]

    def to_document(self, sets: Sets) -> dict[str, Any]:
        """Return the payee as it is written."""
        return {
            "assumption": self.assumption,
            "payee": self.payee,
            "set": sets.index(self.positions),
            "through": self.through,
        }


@value_class
class Told:
    """Something that is reported and not decided: an overcharge, a gift, a ground."""

    what: str
    article: str
    fen: int | None
    detail: str
    positions: tuple[int, ...]

    def to_document(self, sets: Sets) -> dict[str, Any]:
        """Return the report as it is written."""
        return {
            "article": self.article,
            "detail": self.detail,
            "fen": self.fen,
            "set": sets.index(self.positions),
            "what": self.what,
        }


@value_class
class Derivation:
    """Everything that is owed under a contract, as of a day."""

    terms_hash: str
    as_of: Day
    paid: int
    """By the consumer and by voucher issuers, in fen."""
    returned: tuple[int, ...]
    """Paid back by the as-of day, from custody and by the merchant, in fen."""
    results: tuple[Result, ...]
    payees: tuple[Payee, ...]
    told: tuple[Told, ...]

    def to_document(self) -> dict[str, Any]:
        """Return the derivation as it is written."""
        return self._to_document(lambda sets: [result.to_document(sets) for result in self.results])

    def _to_document(self, list_results: Callable[[Sets], list[dict[str, Any]]]) -> dict[str, Any]:
        sets = Sets()
        document = {
            "as_of": show_day(self.as_of),
            "format": FORMAT,
            "paid": self.paid,
            "payees": [payee.to_document(sets) for payee in self.payees],
            "results": list_results(sets),
            "returned": list(self.returned),
            "terms": self.terms_hash,
            "told": [told.to_document(sets) for told in self.told],
            "version": VERSION,
        }
        return document | {"sets": sets.to_document()}

    def encode(self) -> bytes:
        """Return the derivation's canonical bytes; their hash is what a chain keeps.

        Results are most of it. They are written by themselves, each step once however many of them
        have it, and put where the rest has none, which comes to the same as writing `to_document`
        and takes half the time.
        """
        written: list[bytes] = []

        def write_apart(sets: Sets) -> list[dict[str, Any]]:
            known: dict[int, str] = {}

            def write_step(step: Step) -> str:
                text = known.get(id(step))
                if text is None:
                    text = known[id(step)] = step.write(sets)
                return text

            written.append(to_bytes(",".join([each.write(write_step) for each in self.results])))
            return []

        try:
            rest = encode(self._to_document(write_apart), "derivation")
        except _BeyondError:
            return encode(self.to_document(), "derivation")
        if not is_beyond_question(written[0]):
            return encode(self.to_document(), "derivation")
        # No text holds these quotation marks: in a text they are escaped.
        before, _, after = rest.partition(b'"results":[]')
        return b"".join([before, b'"results":[', written[0], b"]", after])


class _BeyondError(ValueError):
    """An amount that has no canonical spelling."""


def _whole(number: int | None) -> str:
    """Write an amount, or null where it is not known."""
    if number is None:
        return "null"
    if not -INTEGER_MAX <= number <= INTEGER_MAX:
        raise _BeyondError
    return str(number)
