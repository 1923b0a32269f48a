"""
Writes a fit as text: each number with its interval, and what was not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ratedispatch.simulate.fit.estimate import Estimate
    from ratedispatch.simulate.fit.fit import Fit
    from ratedispatch.simulate.fit.latency_fit import LatencyFit
    from ratedispatch.simulate.fit.output_shapes import Shape
    from ratedispatch.simulate.fit.prompt_fit import PromptFit

#: Columns of the first word of a line.
_COLUMN = 10

#: Models that are named one by one, and characters of a name.
_MOST_NAMED, _LONGEST = 8, 60

_CHARGES = {
    "reserved": "what a request reserves",
    "refunded": "what a request reserves; unused tokens are given back",
    "prompt": "the prompt of a request, but not its output",
}


def lines_of(fit: Fit) -> list[str]:
    """Return what *fit* says, in short lines."""
    unseen: list[str] = []
    seen = _several(fit.answered, "answer")
    if fit.attempts:
        seen = f"{_several(fit.attempts, 'attempt')}, {fit.answered:,} answered"
    lines = [f"like {fit.source}: {seen}" if fit.answered else f"like {fit.source}"]
    if fit.skipped:
        noun = "line" if fit.skipped == 1 else "lines"
        lines[0] += f"; {fit.skipped:,} unusable {noun} skipped"
    pairs = [
        *_latency(fit.latency, unseen),
        *_places(fit.places),
        *_outputs(fit, unseen),
        *_prompts(fit, unseen),
    ]
    pairs += [*_account(fit, unseen), *_faults(fit, unseen)]
    lines += [f"  {name:<{_COLUMN}} {text}" for name, text in pairs]
    lines += [f"  {note}" for note in fit.notes]
    if unseen:
        lines.append(f"  {'not seen':<{_COLUMN}} {', '.join(unseen)}")
    return lines


def _latency(latency: LatencyFit | None, unseen: list[str]) -> Iterator[tuple[str, str]]:
    if latency is None:
        unseen.append("latency")
        return
    text = f"{_seconds(latency.median)} median, sigma {latency.sigma.value:.2g}"
    if not latency.sigma.n:
        text += " assumed"
    if latency.token_time is not None:
        text += f", plus {_seconds(latency.token_time)} per output token"
    else:
        unseen.append("time per output token")
    yield "latency", text
    if latency.travel is not None:
        yield "round trip", f"{_seconds(latency.travel)}, measured on refusals"


def _places(places: Estimate | None) -> Iterator[tuple[str, str]]:
    if places is not None:
        between = f"{places.low:.0f}–{places.high:.0f}"
        yield "slots", f"{places.value:.0f} requests are worked on at once ({between})"


def _outputs(fit: Fit, unseen: list[str]) -> Iterator[tuple[str, str]]:
    outputs = fit.outputs
    if outputs is None:
        unseen.append("lengths of outputs")
        return
    shapes = list(outputs.shapes.items())
    if len(shapes) > 1:  # that of all is for what is none of the others
        shapes = [(key, shape) for key, shape in shapes if key != ("", None)]
    for (model, is_capped), shape in shapes[:_MOST_NAMED]:
        who = [shown(model)] if model else []
        if is_capped is not None:
            who.append("with a cap" if is_capped else "without a cap")
        text = _shape(shape)
        yield "outputs", f"{' '.join(who)}: {text}" if who else text
    if len(shapes) > _MOST_NAMED:
        yield "outputs", f"and {len(shapes) - _MOST_NAMED:,} more kinds"


def _shape(shape: Shape) -> str:
    mean = shape.residuals.mean
    if shape.name == "share":
        text = f"{mean:.1%} of the cap"
    elif shape.name == "ratio":
        text = f"{mean:.3g} tokens per prompt token"
    elif shape.name == "line":
        sign = "+" if shape.per_token >= 0 else "−"
        text = f"{shape.at_none:.4g} {sign} {abs(shape.per_token):.3g} × prompt tokens"
    else:
        text = f"{mean:,.0f} tokens"
        if shape.residuals.tail:  # the longest were cut
            text = f"{mean:,.0f} tokens or more"
    spread = shape.spread
    text += f" ± {spread:.0%}" if spread >= 0.005 else ", all alike"
    text += f" ({_several(shape.n, 'answer')}"
    return text + (f", {shape.cut:,} cut by their cap)" if shape.cut else ")")


def _prompts(fit: Fit, unseen: list[str]) -> Iterator[tuple[str, str]]:
    if not fit.prompts:
        unseen.append("billed prompt tokens")
        return
    others = [(name, one) for name, one in fit.prompts.items() if not _is_exact(one)]
    if not others:
        yield "prompts", "billed as counted"
    for name, one in others[:_MOST_NAMED]:
        more = f"{one.ratio:.4g} × the count"
        if one.ratio == 1.0:
            more = f"the count {one.difference:+.3g} tokens"
        yield "prompts", f"{shown(name)}: {more}"


def _is_exact(one: PromptFit) -> bool:
    return abs(one.ratio - 1) < 5e-4 and abs(one.difference) < 0.05


def _account(fit: Fit, unseen: list[str]) -> Iterator[tuple[str, str]]:
    account = fit.account
    if account.depth is not None:
        at_least = "at least " if account.depth.high > account.depth.low * 1.01 else ""
        yield "depth", f"{at_least}{account.depth.value:.3g} s of the limit"
    elif account.window != "fixed":
        unseen.append("bucket depth")
    if account.charge is None:
        unseen.append("charge for outputs")
    else:
        counted = ", prompts by characters" if account.by_characters else ""
        times = f" (seen {account.spans:,} times)" if account.spans > 1 else ""
        yield "charge", f"{_CHARGES[account.charge]}{counted}{times}"
    if account.window == "fixed":
        yield "window", "counters that are reset each minute"
    elif account.window is None:
        unseen.append("window")


def _faults(fit: Fit, unseen: list[str]) -> Iterator[tuple[str, str]]:
    if not fit.attempts:
        unseen.append("faults")
        return
    text = ", ".join(
        f"{name} {rate.value:.2%} ({rate.low:.2%}–{rate.high:.2%})"
        for name, rate in fit.faults.items()
    )
    yield "faults", text or f"none in {_several(fit.attempts, 'attempt')}"


def _seconds(one: Estimate) -> str:
    unit, factor = ("s", 1.0) if one.value >= 0.1 else ("ms", 1e3)
    value, low, high = (f"{part * factor:.3g}" for part in (one.value, one.low, one.high))
    return f"{value} {unit}" if low == high else f"{value} {unit} ({low}–{high})"


def shown(name: str) -> str:
    """Return *name*, which a file says, without what could harm a terminal."""
    text = "".join(sign if sign.isprintable() else "?" for sign in name[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _several(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count:,} {noun}s"
