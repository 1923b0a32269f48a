"""A job that is sent by a pool: its figures, its bill, its servers, and its keys."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.dispatch.pool import Member, Pool
from ratedispatch.errors import JobError
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.plan.prices import Price
from ratedispatch.jobs.plan.spending import Caps
from ratedispatch.jobs.run_file import run_file
from ratedispatch.jobs.state.origin import going_on, together
from ratedispatch.limits import Limits
from ratedispatch.outcome import Response
from ratedispatch.simulate.clock import run_virtual
from tests.dispatch.scripted import OK, Scripted, error

if TYPE_CHECKING:
    from pathlib import Path

    from ratedispatch.observe.report import Report

LIMITS = Limits(600)


def member(answer: Any, name: str, **values: Any) -> Member:
    """A member with an address and a key."""
    transport: Any = Scripted(answer)
    transport.base_url = f"https://{name}.example.com/v1"
    transport.api_key = f"sk-key-of-{name}-0123456789"
    return Member(transport, LIMITS, name, **values)


def play(folder: Path, members: list[Member], rows: int = 20, **options: Any) -> Report:
    """Run *rows* requests through *members*."""
    path = folder / "in.jsonl"
    if not path.exists():
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
        row = {"method": "POST", "url": "/v1/chat/completions", "body": body}
        lines = [json.dumps({"custom_id": str(n), **row}) for n in range(rows)]
        path.write_text("\n".join(lines) + "\n")
    return run_virtual(
        run_file(
            path,
            folder / "out.jsonl",
            client=Pool(members),
            job_options=JobOptions(**options),
            dispatcher_options=DispatcherOptions(rng=random.Random(1)),
        )
    )


def test_the_report_has_the_figures_of_each_member(tmp_path: Path) -> None:
    """What it was sent, what it answered, what that cost at its own price, and why it stopped."""
    dear = member(lambda *_: OK, "dear", price=Price("x", 10.0, 100.0))
    free = member(lambda *_: OK, "free", price=Price("x", 0.0, 0.0))
    poor = member(lambda *_: error(429, "insufficient_quota"), "poor")
    report = play(tmp_path, [dear, free, poor])
    figures = report.routes
    assert report.answered == figures["dear"].answered + figures["free"].answered == 20
    assert figures["dear"].prompt_tokens == 9 * figures["dear"].answered
    each = (9 * 10 + 2 * 100) / 1e6
    assert figures["dear"].cost_usd == pytest.approx(each * figures["dear"].answered)
    assert report.cost_usd == pytest.approx(figures["dear"].cost_usd)
    assert figures["free"].cost_usd == 0
    assert (figures["poor"].answered, figures["poor"].stop_code) == (0, "quota")
    assert set(figures["dear"].shares) == {"requests"}
    assert json.dumps(report.as_dict())


def test_a_cap_counts_what_the_member_that_answered_takes(tmp_path: Path) -> None:
    """A row is let through if the dearest one could be paid, and billed what it cost."""
    free = member(lambda *_: OK, "free", price=Price("x", 0.0, 0.0))
    dear = member(lambda *_: error(401, "invalid_api_key"), "dear", price=Price("x", 1e5, 1e5))
    report = play(tmp_path, [free, dear], caps=Caps(max_cost=3.0))
    assert (report.answered, report.cost_usd) == (20, 0.0)


def test_a_member_without_a_price_keeps_no_cap(tmp_path: Path) -> None:
    """Where a model is called what no list knows, the price of what is asked for is taken."""
    known = member(lambda *_: OK, "known", models={"gpt-4o": "my-deployment"})
    report = play(tmp_path, [known], caps=Caps(max_cost=3.0))
    assert report.cost_usd == pytest.approx(20 * (9 * 2.5 + 2 * 10) / 1e6)


def test_the_same_members_go_on_and_others_are_refused(tmp_path: Path) -> None:
    """A part of them may be left out."""
    first, second = member(lambda *_: OK, "first"), member(lambda *_: OK, "second")
    play(tmp_path, [first, second], caps=Caps(max_rows=5))
    report = play(tmp_path, [second], caps=Caps(max_rows=5))
    assert (report.resumed, report.answered) == (5, 10)
    with pytest.raises(JobError, match=r"first\.example\.com/v1 and https://second.*third"):
        play(tmp_path, [first, member(lambda *_: OK, "third")])
    assert play(tmp_path, [first, second]).answered == 20


def test_no_key_of_a_member_reaches_a_file(tmp_path: Path) -> None:
    """A server that repeats the key of another member is not believed to be its own either."""
    keys = [f"sk-key-of-{name}-0123456789" for name in ("one", "two")]
    said = {"choices": [{"message": {"content": " ".join(keys)}}]}
    members = [member(lambda *_: Response(200, {}, said), name) for name in ("one", "two")]
    play(tmp_path, members, rows=4)
    text = (tmp_path / "out.jsonl").read_text()
    assert text.count("[key removed]") == 8
    assert not any(key in text for key in keys)


def test_limits_beside_a_pool_are_refused(tmp_path: Path) -> None:
    """And a client alone needs them."""
    pool = Pool([member(lambda *_: OK, "one")])
    (tmp_path / "in.jsonl").touch()
    with pytest.raises(TypeError, match="each member of a pool has its own limits"):
        asyncio.run(
            run_file(tmp_path / "in.jsonl", tmp_path / "o.jsonl", client=pool, limits=LIMITS)
        )
    with pytest.raises(TypeError, match="are missing"):
        asyncio.run(
            run_file(tmp_path / "in.jsonl", tmp_path / "o.jsonl", client=Scripted(lambda *_: OK))
        )


def test_servers_are_named_in_one_order() -> None:
    """However the members are listed, and once each."""
    assert together(["https://b", "https://a", "https://b", ""]) == "https://a and https://b"
    assert going_on("https://a and https://b", "https://b") == "https://a and https://b"
    assert going_on("https://a", "https://b") == "https://b"
    assert going_on("https://a", "") == "https://a"
