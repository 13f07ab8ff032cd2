"""As much of PromQL as docs/operations.md uses, evaluated on what a server's /metrics said.

Where Prometheus extrapolates an increase to the whole range, this takes what was really counted,
which is never more: what is above a limit here is above it there.
"""

import itertools
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.scraping import Samples

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Value = Vector | float
Group = list[tuple[Labels, float]]
Series = dict[Labels, list[float]]
"""The values of each series within a range, the oldest first."""

TOKEN = re.compile(
    r'\s*("[^"]*"|\d+[smhd]|\d+(?:\.\d+)?|[A-Za-z_]\w*|=~|!~|!=|==|>=|<=|[-+*/<>=(){}\[\],])'
)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
COMPARISONS = {
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
MATCHERS: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "=~": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "!~": lambda value, pattern: re.fullmatch(pattern, value) is None,
}


def seconds(duration: str) -> float:
    """Read a duration as 5m."""
    return float(duration[:-1]) * SECONDS[duration[-1]]


@dataclass(frozen=True)
class History:
    """What Prometheus has scraped of one target: at which second, and what."""

    scrapes: Sequence[tuple[float, Samples]]

    def range(self, since: float, until: float) -> list[Samples]:
        """Return the scrapes after `since`, and not after `until`."""
        return [samples for moment, samples in self.scrapes if since < moment <= until]


@dataclass(frozen=True)
class Selector:
    """Some series by name and labels, as they were `offset` seconds ago."""

    name: str
    matchers: Sequence[tuple[str, str, str]]
    length: float = 0
    offset: float = 0

    def series(self, history: History, now: float) -> Series:
        """Return what is in the range."""
        found: Series = {}
        until = now - self.offset
        for samples in history.range(until - self.length, until):
            for labels, value in self._of(samples):
                found.setdefault(labels, []).append(value)
        return found

    def instant(self, history: History, now: float) -> Vector:
        """Return the newest value of each; a series that the last scrape has not is gone."""
        scrapes = history.range(-math.inf, now - self.offset)
        return dict(self._of(scrapes[-1])) if scrapes else {}

    def _of(self, samples: Samples) -> list[tuple[Labels, float]]:
        return [
            (labels, value)
            for (name, labels), value in samples.items()
            if name == self.name and self._matches(dict(labels))
        ]

    def _matches(self, labels: Mapping[str, str]) -> bool:
        return all(MATCHERS[how](labels.get(label, ""), to) for label, how, to in self.matchers)


def increase(values: list[float], _length: float) -> float | None:
    """Count up; a counter that fell began anew, and one that was seen once has no rise."""
    pairs = itertools.pairwise(values)
    rise = sum(after - before if after >= before else after for before, after in pairs)
    return rise if len(values) > 1 else None


def rate(values: list[float], length: float) -> float | None:
    rise = increase(values, length)
    return None if rise is None else rise / length


OVER_TIME: dict[str, Callable[[list[float], float], float | None]] = {
    "increase": increase,
    "rate": rate,
    "avg_over_time": lambda values, _: sum(values) / len(values),
    "max_over_time": lambda values, _: max(values),
}


def quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Estimate it from cumulative (bound, count) as histogram_quantile does; NaN without any."""
    ordered = sorted(buckets)
    total = ordered[-1][1]
    if total == 0:
        return math.nan
    low, below = 0.0, 0.0
    for bound, count in ordered:
        if count >= share * total:
            if math.isinf(bound):
                return low
            return low + (bound - low) * (share * total - below) / (count - below)
        low, below = bound, count
    raise AssertionError("the last bucket holds all")


def grouped(
    vector: Vector, kept: Callable[[str], bool]
) -> dict[Labels, list[tuple[Labels, float]]]:
    groups: dict[Labels, list[tuple[Labels, float]]] = {}
    for labels, value in vector.items():
        group = frozenset(pair for pair in labels if kept(pair[0]))
        groups.setdefault(group, []).append((labels, value))
    return groups


class Evaluation:
    """Reads an expression from left to right, and evaluates it on the way."""

    def __init__(self, text: str, history: History, now: float) -> None:
        self._tokens = TOKEN.findall(text)
        assert "".join(self._tokens) == re.sub(r"\s", "", text), f"cannot be read: {text}"
        self._history, self._now = history, now

    def result(self) -> Vector:
        """Return the series for which the expression holds."""
        value = self._either()
        assert isinstance(value, dict)
        assert not self._tokens, self._tokens
        return value

    def _next(self, *wanted: str) -> str:
        token: str = self._tokens.pop(0)
        assert not wanted or token in wanted, (token, wanted)
        return token

    def _is(self, *tokens: str) -> bool:
        return bool(self._tokens) and self._tokens[0] in tokens

    def _either(self) -> Value:
        left = self._unless()
        while self._is("or"):
            self._next()
            right = self._unless()
            assert isinstance(left, dict)
            assert isinstance(right, dict)
            left = right | left
        return left

    def _unless(self) -> Value:
        left = self._comparison()
        while self._is("unless"):
            self._next()
            right = self._comparison()
            assert isinstance(left, dict)
            assert isinstance(right, dict)
            left = {labels: value for labels, value in left.items() if labels not in right}
        return left

    def _comparison(self) -> Value:
        left = self._quotient()
        if not self._is(*COMPARISONS):
            return left
        holds = COMPARISONS[self._next()]
        pairs = paired(left, self._quotient())
        return {labels: one for labels, (one, other) in pairs.items() if holds(one, other)}

    def _quotient(self) -> Value:
        left = self._unit()
        while self._is("/"):
            self._next()
            pairs = paired(left, self._unit())
            left = {
                labels: one / other if other else math.nan for labels, (one, other) in pairs.items()
            }
        return left

    def _unit(self) -> Value:
        token = self._next()
        if re.fullmatch(r"[\d.]+", token):
            return float(token)
        if token == "sum":
            return self._sum()
        if token == "histogram_quantile":
            self._next("(")
            share = float(self._next())
            self._next(",")
            vector = self._either()
            self._next(")")
            assert isinstance(vector, dict)
            groups = grouped(vector, lambda name: name != "le")
            return {labels: quantile(share, bounds(found)) for labels, found in groups.items()}
        if token in OVER_TIME:
            self._next("(")
            selector = self._selector(self._next())
            self._next(")")
            series = selector.series(self._history, self._now)
            values = {n: OVER_TIME[token](found, selector.length) for n, found in series.items()}
            return {labels: value for labels, value in values.items() if value is not None}
        return self._selector(token).instant(self._history, self._now)

    def _sum(self) -> Vector:
        by: list[str] = []
        if self._is("by"):
            self._next()
            by = self._names()
        self._next("(")
        vector = self._either()
        self._next(")")
        assert isinstance(vector, dict)
        groups = grouped(vector, by.__contains__)
        return {labels: sum(value for _, value in found) for labels, found in groups.items()}

    def _names(self) -> list[str]:
        self._next("(")
        names = []
        while (token := self._next()) != ")":
            names += [token] if token != "," else []
        return names

    def _selector(self, name: str) -> Selector:
        matchers, length, offset = [], 0.0, 0.0
        if self._is("{"):
            self._next()
            while not self._is("}"):
                label, how, to = self._next(), self._next(*MATCHERS), self._next()
                matchers.append((label, how, to.strip('"')))
                if self._is(","):
                    self._next()
            self._next()
        if self._is("["):
            self._next()
            length = seconds(self._next())
            self._next("]")
        if self._is("offset"):
            self._next()
            offset = seconds(self._next())
        return Selector(name, matchers, length, offset)


def paired(left: Value, right: Value) -> dict[Labels, tuple[float, float]]:
    """Return what stands on both sides by its labels; a number stands beside each."""
    assert isinstance(left, dict)
    if isinstance(right, float):
        return {labels: (value, right) for labels, value in left.items()}
    return {labels: (left[labels], right[labels]) for labels in left.keys() & right.keys()}


def bounds(buckets: Sequence[tuple[Labels, float]]) -> list[tuple[float, float]]:
    return [(float(dict(labels)["le"]), count) for labels, count in buckets]


def fires(expression: str, history: History, *, lasting: str = "0s") -> set[Labels]:
    """Return the series for which it holds at each scrape of the last while: an alert's `for`."""
    last = history.scrapes[-1][0]
    moments = [m for m, _ in history.scrapes if m >= last - seconds(lasting)]
    held = [set(Evaluation(expression, history, moment).result()) for moment in moments]
    return set.intersection(*held)
