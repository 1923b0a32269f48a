"""Flags of the fake server: what they set, and those that mean nothing."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli.fake_server import fake_server
from ratedispatch.simulate.settings import ProviderSettings


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--fault", "earthquake=0.1"], "earthquake"),
        (["--fault", "500=often"], "NAME=RATE"),
        (["--outage", "tomorrow"], "START:SECONDS"),
        (["--change", "10"], "AT:RPM:TPM"),
        (["--change", "10:many:-"], "many"),
        (["--change=-1:1:1"], "changes"),
        (["--competitor", "10"], "START:RPM"),
        (["--competitor", "10:many"], "many"),
        (["--model", "gpt-4o"], "NAME=RPM:TPM"),
        (["--model", "gpt-4o=1"], "NAME=RPM:TPM"),
        (["--model", "gpt-4o=many:1"], "many"),
        (["--queue", "3"], "engine_slots is not set"),
        (["--retry-after", "never"], "never"),
        (["--day-used", "2"], "day_used"),
        (["--burst-seconds", "0"], "burst_seconds"),
        (["--rpm", "many"], "many"),
        (["--window", "round"], "round"),
    ],
)
def test_flags_that_mean_nothing_are_usage_errors(flags: list[str], word: str) -> None:
    """Exit code 2 and a message that names the flag's value."""
    result = CliRunner().invoke(fake_server, flags)
    assert result.exit_code == 2
    assert word in result.output


# (flags, settings that are not the defaults)
FLAGS: list[tuple[list[str], dict[str, Any]]] = [
    ([], {}),
    (
        ["--rpm", "600", "--change", "90:none:2M", "--change", "30:-:1.5k", "--change", "60:1k:-"],
        {
            "requests_per_minute": 600,
            "changes": ((30, 600, 1500), (60, 1000, 1500), (90, None, 2e6)),
        },
    ),
    (
        ["--competitor", "60:0", "--competitor", "30:1.5k", "--competitor-tokens", "200"],
        {"competitor": ((30, 1500), (60, 0)), "competitor_tokens": 200},
    ),
    (["--header-factor", "1.5"], {"header_factor": 1.5}),
    (["--no-numbers", "--retry-after", "seconds"], {"numbers": False, "retry_after": "seconds"}),
    (
        ["--engine-slots", "64", "--queue", "256", "--engine-batching", "0.5"],
        {"engine_slots": 64, "queue": 256, "engine_batching": 0.5},
    ),
    (
        ["--model", "gpt-4o*=1.5k:none", "--model", "ft:a=b=none:2M"],
        {"models": {"gpt-4o*": (1500, None), "ft:a=b": (None, 2e6)}},
    ),
    (["--outage", "10:30"], {"outage": (10, 30)}),
    (["--outage", "10:30:ft:a"], {"outage": (10, 30), "outage_model": "ft:a"}),
    (
        ["--rpd", "10k", "--tpd", "1.5M", "--day-used", "0.25"],
        {"requests_per_day": 10_000, "tokens_per_day": 1.5e6, "day_used": 0.25},
    ),
    (["--no-headers", "--fault", "500=0.5"], {"headers": False, "faults": {"500": 0.5}}),
]


@pytest.mark.parametrize(("flags", "changed"), FLAGS)
def test_flags_become_settings(
    flags: list[str], changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each flag sets what it says and nothing else."""
    found = []

    async def keep(settings: ProviderSettings, *_: Any) -> None:
        found.append(settings)

    monkeypatch.setattr("ratedispatch.cli.fake_server._serve", keep)
    result = CliRunner().invoke(fake_server, flags)
    assert result.exit_code == 0, result.output
    assert found == [ProviderSettings(**changed)]
