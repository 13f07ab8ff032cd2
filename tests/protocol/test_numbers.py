"""Numbers in JSON objects of clients: their value and size in responses."""

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON = {"Content-Type": "application/json"}
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
"""Numbers that would need several times more bytes without their exponent."""


def metadata(*numbers: str) -> bytes:
    return f'{{"metadata": {{"numbers": [{",".join(numbers)}]}}}}'.encode()


def doubles(numbers: list[float]) -> list[float]:
    """Return the numbers as a client reads them that only has doubles, like JavaScript."""
    return [float(number) for number in numbers]


@pytest.mark.parametrize(
    ("number", "size"),
    [("1e308", LIMIT), *((number, LIMIT // 10) for number in SPELLINGS.values())],
    ids=["1 MB", *SPELLINGS],
)
def test_create_conversation_keeps_the_size_of_numbers(
    alice: httpx.Client, number: str, size: int
) -> None:
    sent = metadata(*[number] * (size // (len(number) + 1)))

    made = alice.post("/conversations", content=sent, headers=JSON)

    assert made.status_code == 201, made.text[:1000]
    assert made.json()["metadata"] == json.loads(sent)["metadata"]
    assert len(made.content) < 1.25 * len(sent) + 1000


EXPONENTS = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.builds(
    "{}{}{}".format,
    st.sampled_from(["1", "-9", "1.25", "0.1", "123.4"]),
    st.sampled_from(["e", "E", "e+", "e-"]),
    st.integers(0, 300).map(str),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(EXPONENTS, min_size=1, max_size=50))
def test_create_conversation_keeps_doubles(alice: httpx.Client, numbers: list[str]) -> None:
    made = alice.post("/conversations", content=metadata(*numbers), headers=JSON)

    kept = alice.get(made.headers["location"]).json()["metadata"]["numbers"]
    assert doubles(kept) == [float(number) for number in numbers]


def test_create_conversation_keeps_integers_of_64_bits(alice: httpx.Client) -> None:
    sent = ["9007199254740993", str(2**64 - 1), str(-(2**63))]

    made = alice.post("/conversations", content=metadata(*sent), headers=JSON)

    kept = json.loads(made.content, parse_int=str)["metadata"]["numbers"]
    assert kept == sent
