"""
Maps a Ray dataset to one with the answers to its rows.

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

    ``answer`` is text, and null where a row failed; ``usage`` is a struct of ``prompt_tokens``
    and ``output_tokens``, and null where the provider tells none; ``error_code`` and ``error``
    are null where a row was answered. All other columns pass through as they are. Like every
    step of a dataset it runs when the dataset is gone through, and again when it is gone through
    again.

    A row that was answered is not sent again when Ray asks for its batch again, as long as its
    answer is among the last *remembered_bytes*; what is in flight when an actor dies is.

    Args:
        dataset: A ``ray.data.Dataset``.
        limits: What the account may spend, by all actors together; or what
            :func:`~ratedispatch.ray.limiter` returns, which others may spend from as well.
        template: The prompt with columns in braces, or a whole :class:`~ratedispatch.Template`.
        request: Called in the actors with each row, a mapping; returns its request. Raising
            :class:`~ratedispatch.InvalidRequest` fails the row alone.
        options: How to ask.
        changes: Fields of :class:`~ratedispatch.ray.MapOptions` by name, instead of *options* or
            beside them.

    Raises:
        ImportError: Ray is not installed.
        TypeError: There is no such option, not exactly one of *template* and *request*, or
            *limits* are none.
        ValueError: An option is out of its range.
        JobError: The template cannot be one, names a column that is not there, or a new column is
            there already.
        Stopped: Raised where the dataset is gone through: no row can be sent any more, because
            the account is out of credit or its key is wrong, for example.
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
            raise TypeError("a template that is text takes a model; give model='…'")
        return Template(template, **of_text)
    if of_text:
        raise TypeError(f"{', '.join(of_text)} is for a template that is text; put it in there")
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
