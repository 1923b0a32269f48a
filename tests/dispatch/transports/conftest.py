"""The kinds of transports, each of which a test is run with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.dispatch.transports.wire import FOLLOWING


@pytest.fixture(params=["direct", *FOLLOWING])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param
