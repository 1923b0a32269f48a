"""Ends a run: prints the report and advice, and chooses the exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ratedispatch.cli.console import columns, json_text, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ratedispatch.cli.sending_options import SendingFlags
    from ratedispatch.jobs.plan.spending import Caps
    from ratedispatch.observe.report import Report

#: The advice after a stop, by its code.
_ADVICE = {
    "authentication": "check the key in {key_env} (--api-key-env names another variable)",
    "proxy_authentication": "give the user name and the password of the proxy in its URL, such as "
    "HTTPS_PROXY=http://user:password@host:3128",
    "not_found": "check the model names in the input, what the key may use, and --base-url",
    "unreachable": "check --base-url ({base_url}) and the network",
    "outage": "check the server and --base-url ({base_url}), then run the same command again",
    "refused": "check the limits and the balance of the account, then run the same command again",
    "all_failed": "correct the rows or the flags, then run the same command again, or add "
    "--tolerate-failures",
    "quota": "add credit or raise the account's limit, then run the same command again",
    "day_limit": "run the same command again after the daily limit has been reset, or add "
    "--wait-for-reset",
    "drained": "run the same command again to resume",
    "input": "correct the input, then run the same command again",
    "output": "free some space or repair the output folder, then run the same command again",
    "max_rows": "run the same command again to send as many more, or without --max-rows for the "
    "rest",
    "max_cost": "raise --max-cost and run the command again to resume",
    "max_cost_run": "run the same command again to spend the same amount again",
    "processes": "find out what ends them, such as too little memory, then run the same command "
    "again",
    "no_price": "give --price-in and --price-out, or omit --max-cost",
}

#: Stops that mean a mistake in the command if nothing was answered before.
_MISTAKES = frozenset(
    {
        *("authentication", "proxy_authentication", "not_found", "unreachable"),
        *("outage", "all_failed", "no_price"),
    }
)


def print_report(
    report: Report,
    *,
    as_json: bool,
    with_cost: bool,
    key: str | Sequence[str],
    key_env: str,
    base_url: str | None,
) -> None:
    """Print *report*, and if the run stopped early, the reason and advice."""
    from ratedispatch.observe.human import about_usd
    from ratedispatch.observe.redact import redact_text
    from ratedispatch.observe.summary import table

    if report.stop_code is not None:
        advice = _ADVICE.get(report.stop_code, "run the same command again to resume")
        advice = advice.format(key_env=key_env, base_url=base_url or "https://api.openai.com/v1")
        if not isinstance(key, str):  # a pool, whose members have keys of the file for that
            advice = advice.replace("--base-url", "base_url")
            advice = advice.replace("--api-key-env", "api_key_env")
        message = redact_text(report.stop_message or report.stop_code, key).rstrip(". ")
        say(f"stopped: {message}; {advice}")
    cost = None
    if with_cost and report.cost_usd is not None:
        cost = about_usd(report.cost_usd)
    if as_json:
        text = json_text(report.as_dict())
    elif sys.stdout.isatty():
        text = table(report, cost=cost, width=columns(sys.stdout))
    else:
        text = report.sentence()
        if cost is not None:
            text = f"{text.removesuffix('.')}; cost {cost}."
    click.echo(redact_text(text, key))


def print_notes(report: Report, *, shown: int, quiet: bool, errors: object) -> None:
    """Print the notes after the first *shown*, and where the failed rows are."""
    for note in report.notes[shown:]:
        say(note)
    if report.failed and not quiet:
        from ratedispatch.observe.summary import failures_text

        say(f"{failures_text(report)}; the reason for each row is in {errors}")


def is_priced(sending: SendingFlags, caps: Caps) -> bool:
    """Whether answers cost anything: a trial does not, unless it demonstrates *caps*."""
    return not sending.fake or caps.bind_cost or caps.price is not None


def exit_code(report: Report) -> int:
    """Return the exit code for *report*."""
    if report.stop_code is None:
        return 1 if report.failed else 0
    return 2 if report.stop_code in _MISTAKES and not report.started else 3
