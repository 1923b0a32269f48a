"""
Who is compared, in which version, and how it is told what to do.

Decides names, pinned packages and environment variables. Knows nothing of processes, servers or
figures. Each peer but the program itself has a module of the same name in ``runners/``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The name of the program itself, which runs in the environment of the benchmark.
OURS = "ratedispatch"


@dataclass(frozen=True, slots=True)
class Peer:
    """
    A way to send a file.

    Args:
        name: As on the command line, and the name of its module in ``runners/``.
        title: As in the tables.
        packages: What pip installs for it, pinned; empty for the program itself.
        use: How it is used, one sentence.
        environment: Variables that keep it from the network, and nothing else.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    use: str
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def distributions(self) -> tuple[str, ...]:
        """Names of the packages, without their versions."""
        return tuple(package.partition("==")[0] for package in self.packages)


#: In the order of the tables. All versions were the newest that pip found in November 2026.
PEERS: tuple[Peer, ...] = (
    Peer(
        OURS,
        "ratedispatch run",
        (),
        "`ratedispatch run` with `--rpm`, `--tpm` and `--base-url`",
    ),
    Peer(
        "openai_sdk",
        "openai SDK",
        ("openai==3.57.0",),
        "`asyncio.gather` over `AsyncOpenAI()` as it comes: two retries that heed `Retry-After`",
    ),
    Peer(
        "gather_backoff",
        "gather + backoff",
        ("openai==3.57.0", "backoff==2.2.1"),
        "`asyncio.gather`, each call under `@backoff.on_exception(backoff.expo, RateLimitError)`, "
        "as OpenAI's guide on rate limits shows it",
    ),
    Peer(
        "two_limiters",
        "two AsyncLimiters",
        ("openai==3.57.0", "aiolimiter==1.3.0", "tiktoken==0.14.0"),
        "`asyncio.gather`, each call behind `AsyncLimiter(rpm, 60)` and `AsyncLimiter(tpm, 60)`",
    ),
    Peer(
        "cookbook",
        "cookbook processor",
        ("aiohttp==3.14.5", "tiktoken==0.14.0"),
        "the algorithm of OpenAI's `api_request_parallel_processor.py`, written anew: buckets of "
        "a minute, five attempts, a pause of 15 s after a refusal",
    ),
    Peer(
        "lm_deluge_client",
        "lm-deluge",
        ("lm-deluge==0.0.168",),
        "`LLMClient(…, max_requests_per_minute, max_tokens_per_minute).process_prompts_async`",
    ),
    Peer(
        "litellm_router",
        "litellm Router",
        ("litellm==1.110.2",),
        "`asyncio.gather` over `Router.acompletion` of one deployment with `rpm` and `tpm`",
        MappingProxyType({"LITELLM_LOCAL_MODEL_COST_MAP": "True"}),
    ),
    Peer(
        "langchain_limiter",
        "langchain + limiter",
        ("langchain-openai==1.7.4", "langchain-core==1.8.3"),
        "`ChatOpenAI(rate_limiter=InMemoryRateLimiter(…)).abatch`",
        MappingProxyType({"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}),
    ),
    Peer(
        "openlimit_limiter",
        "openlimit",
        ("openlimit==0.3.0", "openai==3.57.0"),
        "`asyncio.gather`, each call inside `async with ChatRateLimiter(…).limit(…)`",
    ),
    Peer(
        "curator_llm",
        "curator",
        ("bespokelabs-curator==0.1.31",),
        "`curator.LLM(…)` with `max_requests_per_minute` and `max_tokens_per_minute`",
        MappingProxyType(
            {
                "TELEMETRY_ENABLED": "false",
                "CURATOR_DISABLE_RICH_DISPLAY": "1",
                "CURATOR_VIEWER": "0",
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "HF_HUB_OFFLINE": "1",
                "HF_DATASETS_OFFLINE": "1",
            }
        ),
    ),
)

NAMES = tuple(peer.name for peer in PEERS)
