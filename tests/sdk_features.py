"""Skips tests of what the lowest version of the openai package does not have yet."""

from __future__ import annotations

import openai
import pytest
from openai.resources.chat import Completions

_HAS_ALL = hasattr(openai.OpenAI, "responses") and hasattr(Completions, "parse")

#: For tests that call the Responses API, or the helpers that parse and stream.
needs_newer_sdk = pytest.mark.skipif(
    not _HAS_ALL, reason=f"openai {openai.__version__} has no Responses API, or no such helpers"
)
