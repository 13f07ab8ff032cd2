"""Numbers in JSON objects of clients: their spelling and size in responses."""

import json
from decimal import Decimal

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract import assert_problem, places

JSON = {"Content-Type": "application/json"}
MIB = 1024 * 1024

LIMIT = 1_000_000
"""The size of a body in bytes, a little below the limit of the server."""

SPELLINGS = {
    "a large one": "1e308",
    "a small one": "1e-300",
    "the smallest": "5e-324",
    "of two digits": "1e99",
    "a capital E": "1E308",
    "a plus": "1e+308",
    "zeros in front": "1e00308",
    "negative": "-1e308",
    "many digits": "1.7976931348623157e308",
}
"""Numbers that need several times more bytes without their exponent."""


def metadata(*numbers: str, text: str = "") -> bytes:
    return f'{{"metadata": {{"text": "{text}", "numbers": [{",".join(numbers)}]}}}}'.encode()


def as_many_as_fit(number: str) -> bytes:
    return metadata(*[number] * (LIMIT // (len(number) + 1)))


def written_out(number: str) -> int:
    return len(f"{Decimal(repr(float(number))):f}")


@pytest.mark.parametrize("number", SPELLINGS.values(), ids=SPELLINGS)
def test_create_conversation_refuses_numbers_that_make_the_response_too_large(
    alice: httpx.Client, number: str
) -> None:
    response = alice.post("/conversations", content=as_many_as_fit(number), headers=JSON)

    problem = assert_problem(response, 422)
    assert places(problem) == {"body:"}
    assert "exponent" in problem["errors"][0]["detail"]
    assert alice.get("/conversations").json()["total"] == 0


KEPT = {
    "one of each": metadata(*SPELLINGS.values()),
    "a body of probabilities": as_many_as_fit("1.2345678901234567e-20"),
    "a body of short ones": as_many_as_fit("1e9"),
    "a body of hexadecimal text": metadata("1e308", text="7e999" * (LIMIT // 5)),
    "a body of text with commas": metadata("1e308", text="1e308," * (LIMIT // 6)),
    "a body of numbers without one": as_many_as_fit("0.0000000000000012"),
    "1 MiB of digits in a small body": metadata(*["1e308"] * (MIB // 309)),
}


@pytest.mark.parametrize("sent", KEPT.values(), ids=KEPT)
def test_create_conversation_keeps_numbers_with_exponents(alice: httpx.Client, sent: bytes) -> None:
    made = alice.post("/conversations", content=sent, headers=JSON)

    assert made.status_code == 201, made.text[:1000]
    assert doubles(made.json()["metadata"]["numbers"]) == doubles(
        json.loads(sent)["metadata"]["numbers"]
    )
    assert len(made.content) < 6 * len(sent) + MIB


def doubles(numbers: list[float]) -> list[float]:
    """Return the numbers as a client reads them that only has doubles, like JavaScript."""
    return [float(number) for number in numbers]


EXPONENTS = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.builds(
    "{}{}{}".format,
    st.sampled_from(["1", "-9", "1.25", "0.1", "123.4"]),
    st.sampled_from(["e", "E", "e+", "e-"]),
    st.integers(0, 300).map(str),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    numbers=st.lists(EXPONENTS, min_size=1, max_size=5),
    copies=st.sampled_from([1, 300, 3_000, 12_000]),
)
def test_create_conversation_keeps_doubles_or_refuses_their_size(
    alice: httpx.Client, numbers: list[str], copies: int
) -> None:
    sent = metadata(*numbers * copies)
    size = copies * sum(written_out(number) for number in numbers if "e" in number.lower())

    made = alice.post("/conversations", content=sent, headers=JSON)

    if made.status_code == 201:
        kept = made.json()["metadata"]["numbers"]
        assert doubles(kept) == [float(number) for number in numbers] * copies
        assert size <= max(4 * len(sent), MIB)
        assert len(made.content) < 2 * len(sent) + size + 1000
    elif len(sent) <= MIB:
        assert_problem(made, 422)
        assert size > max(4 * len(sent), MIB)
    else:
        assert_problem(made, 413)


def test_create_conversation_returns_numbers_without_exponents(alice: httpx.Client) -> None:
    sent = metadata(
        "1e2", "1e22", "-0.0", "1.0", "1E-7", "1.10", "9007199254740993", str(2**64 - 1)
    )

    made = alice.post("/conversations", content=sent, headers=JSON)

    kept = json.loads(made.content, parse_float=str, parse_int=str)["metadata"]["numbers"]
    assert kept[:6] == ["100.0", "1" + "0" * 22, "0.0", "1.0", "0.0000001", "1.1"]
    assert kept[6:] == ["9007199254740993", str(2**64 - 1)]
