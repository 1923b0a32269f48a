"""Messages between processes, in whatever pieces they come."""

from __future__ import annotations

import itertools
import os
import socket
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.processes.wire import Channel, packed, receive_first, send_first


@given(
    messages=st.lists(st.lists(st.integers()) | st.binary(max_size=300), max_size=8),
    cuts=st.lists(st.integers(0, 4_000), max_size=8),
)
def test_messages_come_whole_and_in_order(messages: list[Any], cuts: list[int]) -> None:
    """Wherever the system cuts what it hands over."""
    heard: list[Any] = []
    channel = Channel(heard.append, lambda: None)
    data = b"".join(map(packed, messages))
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for start, end in itertools.pairwise(places):
        channel.data_received(data[start:end])
    assert heard == messages


def test_a_message_to_nobody_is_lost_quietly() -> None:
    """The end of the other process comes by another way."""
    heard: list[Any] = []
    channel = Channel(heard.append, lambda: heard.append("ended"))
    channel.send("anything")
    assert heard == []


def test_the_first_message_carries_an_open_file() -> None:
    """However long it is, and none comes from a process that is gone."""
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    with ours, theirs:
        send_first(ours, ["x" * 20_000], writing)
        os.close(writing)
        found = receive_first(theirs)
        assert found is not None
        message, descriptor = found
        assert message == ["x" * 20_000]
        os.write(descriptor, b"through")
        assert os.read(reading, 20) == b"through"
        os.close(descriptor)
        os.close(reading)
        ours.close()
        assert receive_first(theirs) is None
