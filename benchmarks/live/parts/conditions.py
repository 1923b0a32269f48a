"""
The conditions that the program has to cope with, and what is asked of it under each.

Decides flags, targets, and what a referee's report shows under one condition only. Knows nothing
of processes or files.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from benchmarks.frame.bounds import (
    Allowance,
    Step,
    Target,
    end_of,
    mean_service,
    quiet_seconds,
    share_of_rate,
    spent_at,
)
from benchmarks.frame.workload import OUTPUT_CAP, Workload, mixed, short
from benchmarks.live.parts.trial import LATENCY, SIGMA, TOLD, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.live.parts.trial import Extra

#: Requests per second of 3,000 RPM, of which a bucket one second deep holds as many.
_RATE = 50.0

#: The same of 1,500 RPM: the lowered limit, that of one of two models, the other client's rate.
_HALF = 25.0

#: When a limit changes or an outage begins, and when the outages end, in seconds.
_CHANGE = 8
_OUTAGE_END = 13
_PAUSE_END = 38

#: Seconds in which a limit may be learned, or followed, before its use is measured.
_TO_LEARN = 5.0
_TO_FOLLOW = 10

#: When the other client starts.
_OTHER = 5

#: Tokens per second and in the full bucket of ``settles``.
_SETTLE_RATE = 5_000.0
_SETTLE_PILE = 300_000.0

_SLOTS = 64

_SHALLOW = (*TOLD, "--burst-seconds", "1")

_LIMITS_FILE = """\
[groups.a]
models = ["a"]
rpm = 1500
tpm = "1M"

[groups.b]
models = ["b"]
rpm = 1500
tpm = "1M"
"""


def _count(count: int) -> Callable[[int], Workload]:
    return lambda seed: short(count, seed)


def _long_caps(seed: int) -> Workload:
    """Return rows of about 100 prompt tokens that reserve far more than they get."""
    rows = mixed(3_000, seed, median=100 + OUTPUT_CAP, sigma=0.0)
    return _changed(rows, lambda _: {"max_tokens": 1000}, more_tokens=1000 - OUTPUT_CAP)


def _two_models(seed: int) -> Workload:
    # the prompts are as long as before: names that nobody knows are counted like gpt-4o
    return _changed(short(1_500, seed), lambda number: {"model": "ab"[number % 2]})


def _changed(
    workload: Workload, change: Callable[[int], Mapping[str, Any]], *, more_tokens: int = 0
) -> Workload:
    """Return *workload* with other fields in the body of each row, by its number."""
    rows = (
        dataclasses.replace(
            row, body={**row.body, **change(number)}, tokens=row.tokens + more_tokens
        )
        for number, row in enumerate(workload.rows)
    )
    return Workload(workload.name, tuple(rows))


def _after_change(stats: Mapping[str, Any]) -> Extra:
    admitted = stats["per_second"]["admitted"]
    begin = _CHANGE + _TO_FOLLOW
    return {"new_limit_share": share_of_rate(admitted, begin, end_of(admitted) - 2, _HALF)}


def _with_other(stats: Mapping[str, Any]) -> Extra:
    admitted, others = stats["per_second"]["admitted"], stats["competitor"]
    begin, end = _OTHER + 1, end_of(admitted) - 2
    # the referee has no seconds of the other client: as if all its refusals fell into this time
    more = _HALF * (end - begin) - others["refused"]
    return {
        "limit_share": share_of_rate(admitted, begin, end, _RATE, more=more),
        "other_refused": others["refused"],
    }


def _outage(stats: Mapping[str, Any]) -> Extra:
    seconds = stats["per_second"]
    return {
        "arrived_in_outage": sum(seconds["arrived"][_CHANGE:_OUTAGE_END]),
        "quiet_after_outage_s": quiet_seconds(seconds["admitted"], _OUTAGE_END),
    }


def _settled(stats: Mapping[str, Any]) -> Extra:
    seconds, makespan = stats["per_second"], stats["makespan"]
    actual = seconds["tokens_actual"]
    begin = spent_at(seconds["tokens_charged"], _SETTLE_PILE)
    end = int(stats["last_answer"] or 0.0) - 3
    whole = None if not makespan else (sum(actual) - _SETTLE_PILE) / (_SETTLE_RATE * makespan)
    return {
        "limit_share": whole,
        "middle_share": share_of_rate(actual, begin, end, _SETTLE_RATE),
        "second_half_share": share_of_rate(actual, end // 2, end, _SETTLE_RATE),
    }


def _actual_tokens(_: Workload, stats: Mapping[str, Any]) -> float:
    return float(sum(stats["per_second"]["tokens_actual"]))


def _other_model(stats: Mapping[str, Any]) -> Extra:
    admitted = stats["by_model"]["b"]["per_second_admitted"]
    begin, end = _CHANGE + 1, min(_PAUSE_END, end_of(admitted) - 1)
    return {"b_limit_share": share_of_rate(admitted, begin, end, _HALF)}


def _requests_of_a(workload: Workload, _: Mapping[str, Any]) -> float:
    return float(sum(row.body["model"] == "a" for row in workload.rows))


def _beside_known(run: Mapping[str, Any], known: Mapping[str, Any]) -> Extra:
    ours, theirs = run["makespan_s"], known["makespan_s"]
    is_whole = run["ratio"] is not None and known["ratio"] is not None
    return {
        "known_makespan_s": theirs,
        "after_start_ratio": (ours - _TO_LEARN) / (theirs - _TO_LEARN) if is_whole else None,
    }


def _queue(stats: Mapping[str, Any]) -> Extra:
    best, makespan = _SLOTS / mean_service(1.0, SIGMA), stats["makespan"]
    return {
        "throughput_share": stats["answered"] / makespan / best if makespan else None,
        "slots_busy_share": stats["slots_busy_share"],
    }


def _beside_fixed(run: Mapping[str, Any], fixed: Mapping[str, Any]) -> Extra:
    ours, theirs = run["latency"]["p95"], fixed["latency"]["p95"]
    return {
        "fixed_throughput_share": fixed["throughput_share"],
        "p95_ratio": ours / theirs if ours and theirs else None,
    }


_FULL = Allowance(_RATE, burst=60 * _RATE, latency=LATENCY)
_PACED = Allowance(_RATE, burst=_RATE, latency=LATENCY)
_RATE_ALONE = Allowance(_RATE)
_HALVED = dataclasses.replace(_PACED, later=(Step(_CHANGE, _HALF),))
_BROKEN = dataclasses.replace(_PACED, later=(Step(_CHANGE, 0.0), Step(_OUTAGE_END, _RATE, _RATE)))
_SETTLING = Allowance(_SETTLE_RATE, burst=_SETTLE_PILE, latency=2.0)

_NO_REFUSAL = Target("refusals", most=0)
_FEW_REFUSALS = Target("refused_share", most=0.005)
_NEW_LIMIT = Target("new_limit_share", least=0.95)
_SHORT = _count(1_500)
_LOWERED = (*_SHALLOW, "--change", f"{_CHANGE}:1500:1M")
_STRUCK = (*_SHALLOW, "--outage", f"{_CHANGE}:{_OUTAGE_END - _CHANGE}")
_LIES = (Target("ratio", most=1.03), _FEW_REFUSALS)
_OUTAGE = (Target("arrived_in_outage", most=20), Target("quiet_after_outage_s", most=0))
# not the share over the whole run: what requests in flight have reserved and will not use is locked
# as long as there are any, here 17 a second × 2 s × 800 tokens, 5.5 s of the rate for any client
_SETTLES = (Target("middle_share", least=0.95), Target("second_half_share", least=0.95))
_SETTLE_LIMITS = ("--rpm", "30k", "--tpm", "300k")
_SETTLE = (*_SETTLE_LIMITS, "--refund", "--output-tokens", "200")

SHALLOW = Trial("shallow", _SHORT, _SHALLOW, _PACED, (Target("ratio", most=1.02), _NO_REFUSAL))
_SHALLOW_SILENT = dataclasses.replace(SHALLOW, server=(*_SHALLOW, "--no-headers"))

_FIXED_FLIGHT = Trial(
    "queue-64",
    _count(4_000),
    ("--engine-slots", str(_SLOTS)),
    Allowance(_SLOTS / mean_service(1.0, SIGMA)),
    run=("--max-in-flight", str(_SLOTS)),
    latency=1.0,
    extra=_queue,
)

#: In the order in which they are run.
TRIALS: tuple[Trial, ...] = (
    Trial(
        "deep-full",
        _count(2_500),
        TOLD,
        _FULL,
        (Target("makespan_s", most=4.0 + LATENCY), _NO_REFUSAL),
    ),
    Trial(
        "deep-empty",
        _SHORT,
        (*TOLD, "--start", "empty"),
        dataclasses.replace(_FULL, is_empty=True),
        (Target("ratio", most=1.05), _FEW_REFUSALS),
    ),
    SHALLOW,
    *(
        Trial(
            window,
            _count(6_000),
            (*TOLD, "--window", window),
            _RATE_ALONE,
            (Target("ratio", most=1.05), _FEW_REFUSALS),
        )
        for window in ("sliding", "fixed")
    ),
    Trial(
        "halved-told",
        _SHORT,
        _LOWERED,
        _HALVED,
        (Target("refused_share", most=0.02), _NEW_LIMIT),
        extra=_after_change,
    ),
    Trial(
        "halved-silent",
        _SHORT,
        (*_LOWERED, "--no-headers"),
        _HALVED,
        (Target("refused_share", most=0.05), _NEW_LIMIT),
        extra=_after_change,
    ),
    Trial(
        "halved-mute",
        _SHORT,
        (*_LOWERED, "--no-headers", "--no-numbers", "--retry-after", "seconds"),
        _HALVED,
        (Target("refused_share", most=0.05),),
        extra=_after_change,
    ),
    Trial(
        "shared",
        _count(2_400),
        (*_SHALLOW, "--competitor", f"{_OTHER}:1500"),
        dataclasses.replace(_PACED, later=(Step(_OTHER, _RATE - _HALF),)),
        (Target("refused_share", most=0.02), Target("limit_share", least=0.95)),
        extra=_with_other,
    ),
    Trial("outage", _SHORT, _STRUCK, _BROKEN, _OUTAGE, extra=_outage),
    Trial(
        "outage-mute",
        _SHORT,
        (*_STRUCK, "--retry-after", "none", "--no-numbers"),
        _BROKEN,
        _OUTAGE,
        extra=_outage,
    ),
    Trial("lies-up", _SHORT, (*_SHALLOW, "--header-factor", "10"), _PACED, _LIES),
    Trial("lies-down", _SHORT, (*_SHALLOW, "--header-factor", "0.1"), _PACED, _LIES),
    Trial("silent", _SHORT, _SHALLOW_SILENT.server, _PACED, _LIES),
    Trial(
        "auto",
        _SHORT,
        _SHALLOW,
        _PACED,
        (Target("after_start_ratio", most=1.05),),
        run=(),
        beside=SHALLOW,
        compare=_beside_known,
    ),
    Trial(
        "auto-silent",
        _SHORT,
        _SHALLOW_SILENT.server,
        _PACED,
        run=(),
        beside=_SHALLOW_SILENT,
        compare=_beside_known,
    ),
    Trial(
        "settles",
        _long_caps,
        _SETTLE,
        _SETTLING,
        _SETTLES,
        run=_SETTLE_LIMITS,
        latency=2.0,
        work=_actual_tokens,
        extra=_settled,
    ),
    Trial(
        "settles-provisioned",
        _long_caps,
        # the charge that this policy expects
        (*_SETTLE, "--charge", "characters"),
        _SETTLING,
        _SETTLES,
        run=(*_SETTLE_LIMITS, "--charge-policy", "azure-provisioned"),
        latency=2.0,
        work=_actual_tokens,
        extra=_settled,
    ),
    Trial(
        "groups",
        _two_models,
        (
            *("--model", "a=1500:1M", "--model", "b=1500:1M", "--burst-seconds", "1"),
            *("--outage", f"{_CHANGE}:{_PAUSE_END - _CHANGE}:a"),
        ),
        Allowance(
            _HALF,
            burst=_HALF,
            later=(Step(_CHANGE, 0.0), Step(_PAUSE_END, _HALF, _HALF)),
            latency=LATENCY,
        ),
        (Target("b_limit_share", least=0.98),),
        run=(),
        limits_file=_LIMITS_FILE,
        work=_requests_of_a,
        extra=_other_model,
    ),
    dataclasses.replace(
        _FIXED_FLIGHT,
        name="queue",
        run=("--max-in-flight", "auto"),
        targets=(Target("throughput_share", least=0.9), Target("p95_ratio", most=2.0)),
        beside=_FIXED_FLIGHT,
        compare=_beside_fixed,
    ),
)
