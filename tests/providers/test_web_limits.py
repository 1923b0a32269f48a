"""The headers of web rate limiters, in the forms of the drafts and of real servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.limits import DAY, Reading
from ratedispatch.providers.read.web_limits import read_web_limits
from ratedispatch.providers.registry import PROVIDERS

DATE = {"date": "Sat, 28 Nov 2026 01:39:26 GMT"}
POLICY = "ratelimit-policy"


def three(prefix: str, limit: str, remaining: str, reset: str = "") -> dict[str, str]:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"{prefix}ratelimit-{name}": value for name, value in values.items() if value}


def counter(
    remaining: float, limit: float | None, window: float | None, ends_in: float, *, delta: bool
) -> Reading:
    """Return a window at whose end the counter starts over."""
    return Reading("requests", remaining, limit, window, window or 60, ends_in, True, delta)


FIFTY = counter(50, 100, 10, 3, delta=True)


@pytest.mark.parametrize(
    "headers",
    [
        # draft 8 and later, as express-rate-limit sends it, and without its key
        {"ratelimit": '"a"; r=50; t=3', POLICY: '"a"; q=100; w=10; pk=:NDk0=:'},
        {"ratelimit": '"a";r=50;t=3', POLICY: '"a";q=100;w=10;qu="requests"'},
        {"ratelimit": "a;r=50;t=3", POLICY: "a;q=100;w=10"},
        # draft 7
        {"ratelimit": "limit=100, remaining=50, reset=3", POLICY: "100;w=10"},
        # draft 6, and with a policy in words
        {**three("", "100", "50", "3"), POLICY: "100;w=10"},
        {**three("", "100", "50", "3"), POLICY: '100;w=10;comment="fixed window", 1000;w=3600'},
        # draft 3, and the same under Envoy's names
        three("", "100, 100;w=10", "50", "3"),
        three("x-", '100, 100;w=10;name="per-ip", 1000;w=3600', "50", "3"),
        # several limits: the one with the lowest rate, also in two lines made one
        {"ratelimit": '"a";r=50;t=3, "b";r=4;t=1', POLICY: '"a";q=100;w=10, "b";q=20;w=1'},
        {"ratelimit": '"a";r=50;t=3,"h";r=1;t=9', POLICY: '"a";q=100;w=10,"h";q=2;w=3600'},
        {"ratelimit": '"a";r=50;t=3,"b";r=1;t=3', POLICY: '"a";q=100;w=10,"b";q=9;w=9;qu="bytes"'},
    ],
)
def test_a_window_that_is_told(headers: dict[str, str]) -> None:
    assert read_web_limits(headers) == (FIFTY,)
    assert PROVIDERS["generic"].readings(headers) == (FIFTY,)
    assert PROVIDERS["openai"].readings(headers) == ()


@pytest.mark.parametrize(
    ("reset", "ends_in", "delta"),
    [
        ("8", 8, True),
        ("8s", 8, True),
        ("8, 8", 8, True),
        ("1795829974", 8, False),
        ("1795829974000", 8, False),
        ("2026-11-28T01:39:34Z", 8, False),
        ("Sat, 28 Nov 2026 01:39:34 GMT", 8, False),
        ("Sat Nov 28 2026 01:39:34 GMT+0000 (Coordinated Universal Time)", 8, False),
    ],
)
@pytest.mark.parametrize("prefix", ["", "x-"])
def test_a_reset_in_any_format(prefix: str, reset: str, ends_in: float, delta: bool) -> None:
    """How long the window is remains open; what is left is that of when a request arrived."""
    headers = {**three(prefix, "100", "50", reset), **DATE}
    assert read_web_limits(headers) == (counter(50, 100, None, ends_in, delta=delta),)


@pytest.mark.parametrize(
    ("field", "policy", "expected"),
    [
        ('"a";r=4;t=1', '"a";q=5;w=1', counter(4, 5, 1, 1, delta=True)),
        ('"a";r=9', '"a";q=10;w=60', Reading("requests", 9, 10, 60, 60)),
        ('"a";r=9;t=70000', '"a";q=10;w=86400', Reading("requests", 9, 10, DAY, DAY)),
    ],
)
def test_windows_of_other_lengths(field: str, policy: str, expected: Reading) -> None:
    assert read_web_limits({"ratelimit": field, POLICY: policy}) == (expected,)


def test_an_instant_is_too_coarse_for_a_window_of_a_second() -> None:
    headers = {**three("x-", "5", "4", "1795829967"), **DATE, POLICY: "5;w=1"}
    assert read_web_limits(headers) == (Reading("requests", 4, 5, 1, 1),)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        three("x-", "100", "50"),  # per what?
        three("x-", "", "50", "8"),
        three("x-", "0", "0", "8"),
        three("x-", "100", "101", "8"),
        three("x-", "100", "-1", "8"),
        three("x-", "100", "many", "8"),
        three("x-", "100", "50", "2"),  # may be that of a second
        three("x-", "100", "50", "soon"),
        three("x-", "100", "50", "1795829974"),  # compared with no date
        {**three("x-", "100", "50", "1795829960"), **DATE},  # past
        {**three("", "100", "50", "8000"), POLICY: "100;w=10"},  # milliseconds
        {**three("", "100", "50", "8"), POLICY: "100;w=0"},
        {"ratelimit": '"a";r=50;t=3'},
        {"ratelimit": '"a";r=50;t=3', POLICY: '"b";q=100;w=10'},
        {"ratelimit": '"a";r=50;t=3', POLICY: '"a";q=100;w=3600'},
        {"ratelimit": '"a";r=50;t=3', POLICY: '"a";q=100;qu="content-bytes";w=10'},
        {"ratelimit": '"a";t=3', POLICY: '"a";q=100;w=10'},
        {"ratelimit": "limit=100, reset=3", POLICY: "100;w=10"},
        {"ratelimit": "limit=100, remaining=x, reset=8"},
        {"ratelimit": '"a"=;r;;=', POLICY: ",;,"},
    ],
)
def test_what_makes_no_sense_is_unknown(headers: dict[str, str]) -> None:
    assert read_web_limits(headers) == ()


def test_names_of_models_come_first() -> None:
    """A gateway passes on what OpenAI says, and counts for itself."""
    own = {"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "599"}
    (told,) = PROVIDERS["generic"].readings({**own, **three("x-", "100", "50", "8")})
    assert (told.limit, told.remaining) == (600, 599)


_TEXT = st.text('"a;=,rtqw 0123456789.-', max_size=40)


@given(st.dictionaries(st.sampled_from(["ratelimit", POLICY, *three("x-", "1", "1", "1")]), _TEXT))
def test_no_header_whatever_raises(headers: dict[str, str]) -> None:
    for reading in read_web_limits(headers):
        assert reading.remaining is not None
        assert reading.limit is None or reading.limit >= reading.remaining
