"""Forecasts what `run_file` will do with a file; sends nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.options import DispatcherOptions
from ratedispatch.jobs.inputs.formats import Format
from ratedispatch.jobs.job_options import JobOptions
from ratedispatch.jobs.order import order_of
from ratedispatch.jobs.workload.file_workload import read_workload
from ratedispatch.jobs.workload.row_reading import Reading
from ratedispatch.simulate.forecast.forecaster import Method, forecast
from ratedispatch.simulate.forecast.reading_order import reading_order
from ratedispatch.simulate.forecast.scene import Scene
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.tokens import OPENAI

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from ratedispatch.groups import LimitGroups
    from ratedispatch.limits import Limits
    from ratedispatch.simulate.forecast.forecast import Forecast


def forecast_file(
    input: str | os.PathLike[str],  # noqa: A002  (as `run_file` calls it)
    *,
    limits: Limits | LimitGroups,
    provider: Mapping[str, Any] | ProviderSettings | None = None,
    job_options: JobOptions | None = None,
    dispatcher_options: DispatcherOptions | None = None,
    seeds: int | None = None,
    method: Method = "auto",
) -> Forecast:
    """
    Simulate the job of a file against a modelled provider in virtual time; nothing is sent.

    Args:
        input: As in `run_file`.
        limits: The limits that the job is given.
        provider: How the provider behaves: settings by name, such as ``latency`` or
            ``output_tokens``, in addition to *limits*; or a complete set of settings.
        job_options: How the job reads, as in `run_file`; may cap the number of rows.
        dispatcher_options: How it sends; without a policy, rows are counted as for OpenAI.
        seeds: How many times the job is simulated, each time with another random seed; by default
            three times, or fewer above several hundred thousand rows.
        method: ``engine`` simulates every row with the full engine, ``model`` with a model of its
            queue, and ``auto`` chooses.

    Raises:
        JobError: The file is missing, empty, or cannot be read.
        TypeError: There is no setting of that name.
        ValueError: A setting makes no sense, or the model does not cover the provider.
    """
    options, sending = job_options or JobOptions(), dispatcher_options or DispatcherOptions()
    reading = Reading(
        template=options.template,
        input_format=None if options.input_format is None else Format(options.input_format),
        endpoint=options.endpoint,
        shard=options.part,
        max_tokens=options.max_tokens,
        policy=sending.policy or OPENAI,
        default_output_tokens=sending.default_output_tokens,
    )
    workload = read_workload(input, limits, reading=reading).workload
    order = order_of(options.order, workload, limits)
    most = options.caps.max_rows if options.caps is not None else None
    if most is not None and most < len(workload):
        workload = workload.chosen(reading_order(len(workload), order)[:most])
        order = "file"
    if not isinstance(provider, ProviderSettings):
        provider = replace(ProviderSettings.like(limits), **(provider or {}))
    scene = Scene(
        limits=limits,
        provider=provider,
        max_in_flight=sending.max_in_flight,
        max_attempts=None if sending.retry is None else sending.retry.max_attempts,
        order=order,
        processes=options.processes,
        connections=sending.connections,
        timeout=sending.timeout,
        wait_for_reset=sending.wait_for_reset,
        tolerate_failures=sending.tolerate_failures,
        default_output_tokens=sending.default_output_tokens,
    )
    return forecast(workload, scene, seeds=seeds, method=method)
