"""How the server of a job is named."""

from __future__ import annotations

import pytest

from ratedispatch.jobs.state.origin import origin_of


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://API.openai.com:443/v1/", "https://api.openai.com/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:80/v1", "http://[::1]/v1"),
        ("https://user:secret@host/v1?key=secret", "https://host/v1"),
        ("mock", ""),
        ("http://[", ""),
        (None, ""),
    ],
)
def test_spellings_of_an_address_have_one_name(url: str | None, expected: str) -> None:
    """Without what may be a key."""
    assert origin_of(url) == expected
