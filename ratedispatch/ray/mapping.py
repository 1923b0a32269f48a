"""
Maps a Ray dataset to a dataset with the answers to its rows.

Decides which actors Ray starts, and with what. What they do stands in `asker`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ratedispatch.dispatch.options import changed
from ratedispatch.jobs.inputs.template import Template
from ratedispatch.limits import Limits
from ratedispatch.ray.asker import Asker, Work
from ratedispatch.ray.ray_answers import AnswerMemory
from ratedispatch.ray.ray_columns import check_names
from ratedispatch.ray.ray_limiter import Limiter, beside_me, nameless
from ratedispatch.ray.ray_needed import load_ray
from ratedispatch.ray.ray_options import MapOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ratedispatch.request import Request


def map_dataset(
    dataset: Any,
    *,
    limits: Limits | Limiter,
    template: str | Template | None = None,
    request: Callable[[Mapping[str, Any]], Request] | None = None,
    options: MapOptions | None = None,
    **changes: Any,
) -> Any:
    """
    Return *dataset* with the columns ``answer``, ``usage``, ``error_code`` and ``error``.

    ``answer`` is text, and null if the row failed; ``usage`` is a struct of ``prompt_tokens`` and
    ``output_tokens``, and null if the provider reports none; ``error_code`` and ``error`` are null
    if the row was answered. All other columns pass through unchanged. Like every step of a dataset,
    it runs whenever the dataset is consumed.

    An answered row is not sent again when Ray executes its batch again, as long as its answer is
    among the last *remembered_bytes*. Requests in flight when an actor dies are sent again.

    Args:
        dataset: A ``ray.data.Dataset``.
        limits: The limits that all actors together keep to; or the result of
            :func:`~ratedispatch.ray.limiter`, which others may spend from as well.
        template: The prompt with column names in braces, or a :class:`~ratedispatch.Template`.
        request: Called in the actors with each row, a mapping; returns its request. If it raises
            :class:`~ratedispatch.InvalidRequest`, only this row fails.
        options: How to send.
        changes: Fields of :class:`~ratedispatch.ray.MapOptions` by name, instead of *options* or
            in addition to them.

    Raises:
        ImportError: Ray is not installed.
        TypeError: There is no such option, not exactly one of *template* and *request* is given,
            or *limits* are not limits.
        ValueError: An option is out of range.
        JobError: The template is invalid, names a missing column, or a new column already exists.
        Stopped: Raised when the dataset is consumed: no more rows can be sent, for example because
            the account is out of credit or its key is wrong.
    """
    options = changed(options or MapOptions(), changes)
    if not isinstance(limits, Limits | Limiter):
        raise TypeError(f"limits must be Limits, not {type(limits).__name__}")
    made = _template(template, request, options)
    data = load_ray("ray.data")
    _check(dataset, made, options)
    limiter = nameless(limits) if isinstance(limits, Limits) else limits
    work = Work(made, request, limiter, options, _start_memory(options))
    asked = dataset.repartition(target_num_rows_per_block=options.batch_rows, strict=True)
    return asked.map_batches(
        Asker,
        fn_constructor_args=(work,),
        batch_size=options.batch_rows,
        batch_format="pyarrow",
        zero_copy_batch=True,
        num_cpus=options.num_cpus,
        compute=data.ActorPoolStrategy(
            size=options.actors,
            # none that only waits behind others: it would have to wait for a restart, too
            max_tasks_in_flight_per_actor=options.open_batches,
            max_concurrent_calls_per_actor=options.open_batches,
            enable_true_multi_threading=True,
        ),
    )


def _template(
    template: str | Template | None, request: object, options: MapOptions
) -> Template | None:
    if (template is None) == (request is None):
        raise TypeError("give either a template or a function as request")
    of_text = {
        name: value
        for name in ("model", "system", "max_tokens")
        if (value := getattr(options, name)) is not None
    }
    if isinstance(template, str):
        if options.model is None:
            raise TypeError("a template given as text needs a model; give model='…'")
        return Template(template, **of_text)
    if of_text:
        raise TypeError(
            f"{', '.join(of_text)} is for a template given as text; set it in the Template"
        )
    return template


def _check(dataset: Any, template: Template | None, options: MapOptions) -> None:
    """Check the columns, as far as they are known before anything runs."""
    schema = dataset.schema(fetch_if_missing=False)
    if schema is None:
        return
    check_names(schema.names, options.prefix)
    if template is not None:
        template.check(schema.names)


def _start_memory(options: MapOptions) -> Any:
    ray = load_ray()
    actor = ray.remote(**beside_me(ray))(AnswerMemory)
    return actor.remote(options.remembered_bytes)
