"""The flags of the provider that a job is played against."""

from __future__ import annotations

import click
import pytest

from ratedispatch.cli.modelled_provider import ModelledProviderFlags
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import AUTO, Limits
from ratedispatch.simulate.forecast.lengths import Lengths
from ratedispatch.simulate.settings import ProviderSettings

TOLD = Limits(requests_per_minute=600, tokens_per_minute=AUTO)


def test_the_account_has_the_limits_of_the_job_unless_a_flag_says_else() -> None:
    """A limit that is to be learned is none, or what its flag says."""
    assert ModelledProviderFlags().settings(TOLD) == ProviderSettings(requests_per_minute=600)
    given = ModelledProviderFlags(account_rpm=300, account_tpm=9000, depth=1.0, slots=4, queue=2)
    assert given.settings(TOLD) == ProviderSettings(
        requests_per_minute=300,
        tokens_per_minute=9000,
        burst_seconds=1.0,
        engine_slots=4,
        queue=2,
    )


def test_flags_beat_what_a_former_run_has_shown() -> None:
    """And what the job is told beats it too; the rest stays."""
    fitted = ProviderSettings(
        tokens_per_minute=5000,
        requests_per_minute=100,
        latency=3.0,
        output_tokens=Lengths((50.0,)),
        output_lengths={"m": Lengths((7.0,))},
        faults={"500": 0.01},
    )
    found = ModelledProviderFlags(output_share=0.25).settings(TOLD, fitted)
    assert found == ProviderSettings(
        requests_per_minute=600,
        tokens_per_minute=5000,
        latency=3.0,
        output_share=0.25,
        faults={"500": 0.01},
    )


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (ModelledProviderFlags(faults=("50O=0.1",)), "no fault '50O'"),
        (ModelledProviderFlags(faults=("500",)), "--fault '500'"),
        (ModelledProviderFlags(queue=3), "queue is 3"),
        (ModelledProviderFlags(competitors=("soon",)), "--competitor 'soon'"),
        (ModelledProviderFlags(changes=("9:1",)), "--change '9:1'"),
        (ModelledProviderFlags(outage="later"), "--outage 'later'"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(flags: ModelledProviderFlags, word: str) -> None:
    """With the name of the flag or of the setting."""
    with pytest.raises(click.UsageError, match=word):
        flags.settings(TOLD)


def test_groups_have_accounts_of_their_own() -> None:
    """So that one limit for all is refused; without it each model has those of its group."""
    groups = LimitGroups((LimitGroup("a", ("m*",), Limits(requests_per_minute=60)),))
    assert ModelledProviderFlags().settings(groups).models == {"m*": (60, None)}
    with pytest.raises(click.UsageError, match="--limits has groups"):
        ModelledProviderFlags(account_rpm=9).settings(groups)
