"""Collects values from decoded structures, to check many values at once."""

from collections.abc import Callable, Iterable
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec

Collected = list[list[Any]]
"""One list of values per check."""
Collector = Callable[[Iterable[Any], Collected], None]
"""Appends to `Collected` what the given values contain, at any depth."""


def values_for(check: int) -> Collector:
    """Return a collector of the values themselves, for the check with this number."""

    def collect(values: Iterable[Any], collected: Collected) -> None:
        collected[check] += values

    return collect


def from_member(
    attribute: str, collect: Collector, *, is_required: bool, skip_null: bool
) -> Collector:
    """Return a collector that applies `collect` to an attribute of each value."""
    get = attrgetter(attribute)
    if skip_null:

        def collect_present(values: Iterable[Any], collected: Collected) -> None:
            members = map(get, values)
            collect([m for m in members if m is not None and m is not msgspec.UNSET], collected)

        return collect_present
    if is_required:
        return lambda values, collected: collect(map(get, values), collected)
    return lambda values, collected: collect(
        [m for m in map(get, values) if m is not msgspec.UNSET], collected
    )


def from_members(collectors: list[Collector]) -> Collector:
    """Return a collector that applies each of `collectors` to the same values."""

    def collect_all(values: Iterable[Any], collected: Collected) -> None:
        values = list(values)
        for collect in collectors:
            collect(values, collected)

    return collect_all


def from_items(collect: Collector, *, skip_null: bool) -> Collector:
    """Return a collector that applies `collect` to the items of each value."""

    def collect_items(values: Iterable[Any], collected: Collected) -> None:
        items = chain.from_iterable(values)
        collect((i for i in items if i is not None) if skip_null else items, collected)

    return collect_items
