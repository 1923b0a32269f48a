"""Counts that are kept: what comes back is what was counted, and nothing else is believed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import struct
from array import array
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.jobs.inputs.formats import Format
from ratedispatch.jobs.inputs.template import Template
from ratedispatch.jobs.plan.findings import finding_of
from ratedispatch.jobs.plan.planner import plan_file
from ratedispatch.jobs.shard import Shard
from ratedispatch.jobs.workload import counts_folder, file_workload
from ratedispatch.jobs.workload.counted import Counted, Counting
from ratedispatch.jobs.workload.counts_file import DamagedCounts, read_counts, write_counts
from ratedispatch.jobs.workload.counts_folder import CountsFolder, counts_path
from ratedispatch.jobs.workload.file_identity import identity_of
from ratedispatch.jobs.workload.file_workload import read_workload
from ratedispatch.jobs.workload.row_reading import Reading
from ratedispatch.limits import Limits
from ratedispatch.request import CHAT, EMBEDDINGS, Cost, Request
from ratedispatch.tokens import ANTHROPIC, TOKENS, UnknownModelWarning

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))
LIMITS = Limits(6_000, 6_000_000)
PLAIN = Reading(policy=TOKENS)
HEAD = 8 + 2 + 2 + 2 + 2 + 4 + 8 + 32 + 32


def line(number: int, content: str = "hello there", model: str = "gpt-4o-mini") -> str:
    messages = [{"role": "user", "content": content}]
    body = {"model": model, "messages": messages, "max_tokens": 20}
    return json.dumps({"custom_id": f"secret-{number}", "url": CHAT, "body": body})


def written(path: Path, *lines: str) -> Path:
    """A file that was written a while ago."""
    path.write_text("\n".join(lines))
    os.utime(path, ns=(10**18, 10**18))
    return path


def values(counted: Counted) -> tuple[object, ...]:
    return (
        counted.workload.kinds,
        list(counted.workload),
        list(counted.lines),
        list(counted.billed_outputs),
        list(counted.assumed),
        counted.counts,
        counted.rows,
        counted.is_whole,
    )


def packed(counted: Counted) -> bytes:
    file = io.BytesIO()
    write_counts(file, KEY, counted)
    return file.getvalue()


def unpacked(data: bytes) -> Counted:
    return read_counts(io.BytesIO(data), len(data), KEY)


def of_rows(*costs: tuple[int, int, int, int, int], lines: list[int] | None = None) -> Counted:
    counting = Counting()
    for number, (prompt, output, counted, most, assumed) in enumerate(costs, 1):
        cost = Cost(
            prompt,
            output,
            counted_tokens=counted,
            expected_output_tokens=most,
            is_capped=number % 2 == 0,
            assumed_tokens=assumed,
        )
        row = lines[number - 1] if lines else number
        endpoint = (CHAT, EMBEDDINGS)[number % 3 == 0]
        counting.add_counted(Request({"model": f"m{number % 2}"}, endpoint, row=row), cost)
    return counting.counted()


COUNTED = of_rows((5, 0, 5, 7, 0), (9, 20, 8, 20, 3), (2, 0, 2, 0, 0), lines=[1, 3, 9])

numbers = st.integers(0, 2**32 - 1)


@given(
    costs=st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers), max_size=20),
    are_alike=st.booleans(),
)
def test_what_is_read_is_what_was_written(
    costs: list[tuple[int, int, int, int, int]], are_alike: bool
) -> None:
    """Whatever the numbers; columns that say nothing are left out and come back."""
    if are_alike:
        costs = [(prompt, output, billed, output, 0) for prompt, output, billed, _, _ in costs]
    counted = of_rows(*costs)
    found = unpacked(packed(counted))
    assert values(found) == values(counted)
    assert found.is_remembered


@given(
    data=st.one_of(st.binary(max_size=300), st.just(packed(COUNTED))),
    at=st.integers(0, 400),
    to=st.integers(0, 255),
    cut=st.integers(0, 400),
)
def test_a_file_that_was_not_written_so_is_refused(data: bytes, at: int, to: int, cut: int) -> None:
    """Foreign bytes, one byte changed, cut off, longer: an error, and no other."""
    whole = packed(COUNTED)
    changed = bytearray(data)
    if at < len(changed):
        changed[at] = to
    for hostile in (bytes(changed), data[:cut], data + b"\0"):
        if hostile != whole:
            with pytest.raises(DamagedCounts):
                unpacked(hostile)


def test_each_byte_of_the_head_counts() -> None:
    """No digest is of them."""
    for at in range(92):
        changed = bytearray(packed(COUNTED))
        changed[at] ^= 1
        with pytest.raises(DamagedCounts):
            unpacked(bytes(changed))


def forged(**changes: object) -> bytes:
    """A file whose checksum is right, and whose content is not."""
    about: dict[str, Any] = {
        "kinds": [[CHAT, "m"]],
        "columns": [],
        "rows": 2,
        "counts": {},
        "found": [],
        "is_whole": True,
    }
    columns: dict[str, Any] = {"kind": [0, 0], "numbers": [1] * 8, "more": []}
    for name, change in changes.items():
        (columns if name in columns else about)[name] = change
    text = json.dumps(about).encode()
    body = text + array("H", columns["kind"]).tobytes()
    body += array("I", columns["numbers"]).tobytes() + array("I", columns["more"]).tobytes()
    whole = bytearray(packed(of_rows((1, 1, 1, 1, 0), (1, 1, 1, 1, 0)))[:HEAD])
    struct.pack_into("=IQ", whole, 16, len(text), 2)
    whole[HEAD - 32 : HEAD] = hashlib.sha256(body).digest()
    return bytes(whole) + body


def test_a_forged_file_that_holds_nothing_wrong_is_read() -> None:
    """So that the next test refuses for the reason it names."""
    assert len(unpacked(forged()).workload) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"kind": [0, 1]},  # a kind that there is not
        {"kinds": [[CHAT, "m"], [CHAT, "m"]]},
        {"kinds": [["/etc/passwd", "m"]]},
        {"kinds": [[CHAT, "m" * 201]]},
        {"kinds": [[CHAT]]},
        {"kinds": [[CHAT, f"m{n}"] for n in range(2_000)]},
        {"kinds": {}},
        {"columns": ["lines"], "more": [2, 2]},
        {"columns": ["lines"], "more": [0, 2]},
        {"columns": ["assumed", "lines"], "more": [1, 2, 3, 4]},
        {"columns": ["bodies"]},
        {"columns": None},
        {"rows": -1},
        {"rows": "2"},
        {"rows": 1e9},
        {"counts": {"<script>": 1}},
        {"counts": {"a": -1}},
        {"counts": []},
        {"found": [[1, "\x1b[31m"]]},
        {"found": [[1, "a"]] * 1_001},
        {"found": [1]},
    ],
)
def test_a_forged_file_is_refused(change: dict[str, object]) -> None:
    """Its checksum is right; what it says is checked all the same."""
    with pytest.raises(DamagedCounts):
        unpacked(forged(**change))


def test_a_head_that_promises_too_much_takes_no_memory() -> None:
    """Refused by the length of the file, before anything is read."""
    data = bytearray(packed(COUNTED))
    struct.pack_into("=Q", data, 20, 2**60)
    with pytest.raises(DamagedCounts, match="sizes"):
        unpacked(bytes(data))
    struct.pack_into("=I", data, 16, 2**31)
    with pytest.raises(DamagedCounts, match="sizes"):
        unpacked(bytes(data))


def test_a_file_that_was_counted_is_not_read_again(tmp_path: Path) -> None:
    """The same rows, findings by line; 18 bytes a row and a head, for nobody else's eyes."""
    path = written(tmp_path / "in.jsonl", *map(line, range(1, 100)), "{", line(7, "tell nobody"))
    folder = CountsFolder(tmp_path / "cache" / "counts")
    cold = read_workload(path, reading=PLAIN, folder=folder)
    warm = read_workload(path, reading=PLAIN, folder=folder)
    assert (cold.is_remembered, warm.is_remembered) == (False, True)
    assert values(warm) == values(cold)
    assert [(one.line, one.code) for one in warm.findings] == [
        (100, "invalid_line"),
        (101, "duplicate_custom_id"),
    ]
    assert {one.custom_id for one in warm.findings} == {None}
    (kept,) = folder.path.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert kept.stat().st_size < 99 * 18 + 400
    for text in (b"secret", b"hello", b"nobody", b"in.jsonl", bytes(tmp_path)):
        assert text not in kept.read_bytes()


def test_any_change_of_the_file_is_seen(tmp_path: Path) -> None:
    """Its content at the same length and time, its time, another file in its place, its length."""
    path = tmp_path / "in.jsonl"
    folder = CountsFolder(tmp_path / "counts")

    lines = [line(1), line(2)]
    written(path, *lines)
    assert not read_workload(path, reading=PLAIN, folder=folder).is_remembered
    assert read_workload(path, reading=PLAIN, folder=folder).is_remembered
    with path.open("r+") as file:
        file.write(lines[0].replace("hello", "jello"))
    os.utime(path, ns=(10**18, 10**18))
    assert not read_workload(path, reading=PLAIN, folder=folder).is_remembered
    os.utime(path, ns=(10**18, 10**18 + 1))
    assert not read_workload(path, reading=PLAIN, folder=folder).is_remembered
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(10**18, 10**18 + 1))
    copy.replace(path)
    assert not read_workload(path, reading=PLAIN, folder=folder).is_remembered
    written(path, *lines, line(3))
    assert not read_workload(path, reading=PLAIN, folder=folder).is_remembered
    assert read_workload(path, reading=PLAIN, folder=folder).is_remembered


def test_any_other_way_of_counting_is_seen(tmp_path: Path) -> None:
    """Each setting has its say, one that is to come as well."""
    template = Template("{text}", model="gpt-4o-mini")
    ways: dict[str, list[Any]] = {
        "template": [template, replace(template, system="s"), replace(template, max_tokens=9)],
        "input_format": [Format.CSV],
        "endpoint": [CHAT, EMBEDDINGS],
        "max_tokens": [7, 8],
        "shard": [Shard(0, 2), Shard(1, 2)],
        "policy": [ANTHROPIC, replace(TOKENS, tokens_per_message=1)],
        "default_output_tokens": [17],
        "models": [{"a": "o1"}, {"a": "o3"}],
    }
    assert set(ways) == {field.name for field in fields(Reading)}
    path = written(tmp_path / "in.jsonl", line(1))
    every = [PLAIN, *(replace(PLAIN, **{name: one}) for name in ways for one in ways[name])]
    keys = [identity_of(path, one) for one in every]
    assert len(set(keys)) == len(every)
    assert keys[0] == identity_of(path, Reading(policy=replace(TOKENS)))


def test_a_file_that_changes_while_it_is_counted_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one that was changed so lately that the next change might leave no trace."""
    path = written(tmp_path / "in.jsonl", *map(line, range(1, 4)))
    folder = CountsFolder(tmp_path / "counts")
    read_workload(
        path, folder=folder, on_progress=lambda *_: os.utime(path, ns=(10**18, 10**18 + 5))
    )
    assert not folder.path.exists()
    now = 10**9 + 1.5
    monkeypatch.setattr(file_workload, "wall_clock", lambda: now)
    os.utime(path, ns=(10**18, 10**18))  # a whole second: the file system may have no others
    read_workload(path, folder=folder)
    assert not folder.path.exists()
    now += 1
    read_workload(path, folder=folder)
    assert len(list(folder.path.iterdir())) == 1


def test_files_that_were_used_last_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most so many, and so many bytes; what a killed process has left goes after a day."""
    monkeypatch.setattr(counts_folder, "_MOST_FILES", 3)
    now = 1_000_000.0
    folder = CountsFolder(tmp_path / "counts", clock=lambda: now)
    keys = [bytes([number]) * 32 for number in range(5)]
    for key in keys[:3]:
        folder.keep(key, COUNTED)
        now += 1
    (folder.path / ".left").write_bytes(b"half")
    os.utime(folder.path / ".left", (now - 86_399, now - 86_399))
    (folder.path / "notes.txt").write_bytes(b"of somebody")
    os.utime(folder.path / "notes.txt", (1, 1))
    assert folder.recall(keys[0]) is not None  # used last
    now += 1
    folder.keep(keys[3], COUNTED)
    assert [folder.recall(key) is not None for key in keys] == [True, False, True, True, False]
    now += 2
    size = len(packed(COUNTED))
    monkeypatch.setattr(counts_folder, "_MOST_BYTES", 2 * size)
    folder.keep(keys[4], COUNTED)
    assert sorted(one.suffix for one in folder.path.iterdir()) == [".counts", ".counts", ".txt"]
    monkeypatch.setattr(counts_folder, "_MOST_BYTES", size // 2)
    folder.keep(keys[0], COUNTED)  # alone more than there may be
    assert folder.recall(keys[4]) is None


def test_a_folder_that_takes_nothing_changes_nothing(tmp_path: Path) -> None:
    """A file in its place, no rights, a full disk: counted again, and nothing said."""
    path = written(tmp_path / "in.jsonl", line(1))
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "counts", tmp_path / ("x" * 300)):
        for _ in range(2):
            assert not read_workload(path, folder=CountsFolder(place)).is_remembered


def test_a_disk_that_is_full_leaves_no_half_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor an error."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(counts_folder, "write_counts", full)
    folder = CountsFolder(tmp_path / "counts")
    folder.keep(KEY, COUNTED)
    assert list(folder.path.iterdir()) == []


def test_what_lies_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    """A symbolic link, a pipe that nobody writes to, a folder."""
    folder = CountsFolder(tmp_path / "counts")
    folder.keep(KEY, COUNTED)
    (kept,) = folder.path.iterdir()
    assert folder.recall(KEY) is not None
    elsewhere = tmp_path / "elsewhere"
    kept.rename(elsewhere)
    kept.symlink_to(elsewhere)
    assert folder.recall(KEY) is None
    kept.unlink()
    os.mkfifo(kept)
    assert folder.recall(KEY) is None
    kept.unlink()
    kept.mkdir()
    assert folder.recall(KEY) is None
    folder.keep(KEY, COUNTED)  # cannot take its place
    assert folder.recall(KEY) is None


def test_standard_input_and_pipes_are_not_kept(tmp_path: Path) -> None:
    """They are not there the next time."""
    folder = CountsFolder(tmp_path / "counts")
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    assert file_workload.Recalling(pipe.name, PLAIN, folder).counted() is None
    assert file_workload.Recalling("-", PLAIN, folder).counted() is None
    assert not folder.path.exists()


@pytest.mark.filterwarnings("error")
def test_a_model_that_is_not_known_is_told_each_time(tmp_path: Path) -> None:
    """As if the rows had been counted."""
    path = written(tmp_path / "in.jsonl", line(1, model="own-model"))
    folder = CountsFolder(tmp_path / "counts")
    for number in range(2):
        with pytest.warns(UnknownModelWarning, match="'own-model' is not known"):
            found = read_workload(path, reading=PLAIN, folder=folder)
        assert found.is_remembered == (number == 1)


def test_a_plan_of_counts_is_the_plan_of_the_file(tmp_path: Path) -> None:
    """Rows that are alike, and one that is not; several kinds, caps and none."""
    body = {"model": "text-embedding-3-small", "input": [7] * 12}
    other = json.dumps({"custom_id": "e", "url": EMBEDDINGS, "body": body})
    open_row = line(3).replace(', "max_tokens": 20', "")
    path = written(tmp_path / "in.jsonl", line(1), line(2), "", other, open_row, line(5, "x " * 90))
    folder = CountsFolder(tmp_path / "counts")
    plans = [plan_file(path, LIMITS, policy=TOKENS, folder=kept) for kept in (None, folder, folder)]
    assert plans[0] == plans[1] == plans[2]
    assert folder.path.exists()
    (kept,) = folder.path.iterdir()
    kept.write_bytes(b"damaged")
    assert plan_file(path, LIMITS, policy=TOKENS, folder=folder) == plans[0]


def test_a_plan_that_names_rows_reads_them(tmp_path: Path) -> None:
    """A row too large, a row that is none: their names and reasons are not kept."""
    path = written(tmp_path / "in.jsonl", line(1), line(2, "long " * 200))
    small = Limits(6_000, 100, burst_seconds=60)
    folder = CountsFolder(tmp_path / "counts")
    for limits in (LIMITS, small, small):
        assert plan_file(path, limits, folder=folder) == plan_file(path, limits)
    assert plan_file(path, small, folder=folder).findings[0].custom_id == "secret-2"
    written(path, line(1), "{")
    for _ in range(2):
        assert plan_file(path, LIMITS, folder=folder) == plan_file(path, LIMITS)


def test_the_folder_is_where_the_user_keeps_what_can_be_made_again() -> None:
    """As the XDG specification says."""
    assert str(counts_path({"XDG_CACHE_HOME": "/a"})) == "/a/ratedispatch/counts"
    assert str(counts_path({"XDG_CACHE_HOME": "a"})).endswith("/.cache/ratedispatch/counts")


def test_reasons_of_findings_are_kept_in_general_words() -> None:
    """The line and the code; plan reads the file and tells the rest."""
    counting = Counting()
    counting.add_uncountable(Request({}, custom_id="secret", row=4), "body: secret")
    found = unpacked(packed(counting.counted()))
    reason = "it cannot be sent"
    assert found.findings == (finding_of(4, None, "invalid_request", reason),)
    assert found.counts == {"invalid_request": 1}


def test_a_pipe_is_not_opened_to_see_whether_it_was_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That would wait for whoever writes to it, before it is told that a pipe is no input."""
    pipe = tmp_path / "in.jsonl"
    os.mkfifo(pipe)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert identity_of(pipe, PLAIN) is None
