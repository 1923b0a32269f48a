"""The file of --limits, and the flags: what they come to, and every mistake in one sentence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratedispatch.cli.fake_account import fake_flags
from ratedispatch.cli.limit_options import LimitFlags
from ratedispatch.cli.limits_file import read_limits
from ratedispatch.errors import JobError
from ratedispatch.groups import LimitGroup, LimitGroups
from ratedispatch.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL = '[groups.small]\nmodels = ["gpt-4o-mini"]\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.toml"


def test_groups_and_a_default(path: Path) -> None:
    """Numbers as in the flags; what a group does not say of RPM and TPM is learned."""
    path.write_text(
        """
        [groups.small]
        models = ["gpt-4o-mini", "gpt-4.1-mini*"]
        rpm = 10_000
        tpm = "2M"
        rpd = "10k"
        tpd = 1e9
        input_tpm = "1.5M"
        output_tpm = 500_000
        burst_seconds = 0
        max_in_flight = 64

        [groups."gpt 4"]
        models = ["gpt-4o"]
        tpm = "Auto"

        [default]
        rpm = 500
        """
    )
    made = read_limits(path)
    assert isinstance(made, LimitGroups)
    assert made.groups == (
        LimitGroup(
            "small",
            ("gpt-4o-mini", "gpt-4.1-mini*"),
            Limits(
                10_000,
                2_000_000,
                0,
                requests_per_day=10_000,
                tokens_per_day=1_000_000_000,
                input_tokens_per_minute=1_500_000,
                output_tokens_per_minute=500_000,
            ),
            64,
        ),
        LimitGroup("gpt 4", ("gpt-4o",), Limits("auto", "auto")),
    )
    assert made.default == Limits(500, "auto")


def test_without_others_other_models_have_no_limits(path: Path) -> None:
    """A byte order mark and Windows line ends are as good as none."""
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    made = read_limits(path)
    assert isinstance(made, LimitGroups)
    assert (made.groups[0].name, made.default) == ("small", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no group; add one under [groups.NAME], or a pool under [[pool]]"),
        ("[groups]", "has no group; add one under [groups.NAME], or a pool under [[pool]]"),
        ("groups = 3", "[groups] must be a table, not 3"),
        ("[groups]\nsmall = 3", "[groups.small] must be a table, not 3"),
        ("[group.small]", "the file has an unknown key 'group'; did you mean groups?"),
        ("[[groups]]", "[groups] must be a table, not [{}]"),
        ("[limits]", "the file has an unknown key 'limits'; known keys are groups, default"),
        ("[groups.small]\nrpm = 5", "[groups.small] has no models; name them, such as"),
        ('[groups."a b"]', '[groups."a b"] has no models'),
        ('[groups.""]\nmodels = ["a"]', "has an empty name"),
        ('[groups.a]\nmodels = "gpt-4o"', "[groups.a] models must be a list of strings"),
        ("[groups.a]\nmodels = [3]", "[groups.a] models must be a list of strings"),
        ("[groups.a]\nmodels = []", "[groups.a] models: group 'a' has no models"),
        ('[groups.a]\nmodels = ["a*b"]', "[groups.a] models: group 'a': 'a*b' has a * before"),
        (SMALL + "[groups.b]\nmodels = ['gpt-4o-mini']", "is in the groups 'small' and 'b'"),
        (SMALL + "rmp = 5", "[groups.small] has an unknown key 'rmp'; did you mean rpm?"),
        (SMALL + "RPM = 5", "[groups.small] has an unknown key 'RPM'; did you mean rpm?"),
        (
            SMALL + "zzz = 5",
            "[groups.small] has an unknown key 'zzz'; known keys are models, rpm, tpm",
        ),
        (SMALL + "rpm = 0", "[groups.small] rpm must be a finite number above zero, not 0"),
        (SMALL + "tpm = -1.5", "[groups.small] tpm must be a finite number above zero, not -1.5"),
        (SMALL + "tpm = nan", "[groups.small] tpm must be a finite number above zero, not nan"),
        (SMALL + "tpd = inf", "[groups.small] tpd must be a finite number above zero, not inf"),
        (SMALL + f"rpd = 1{'0' * 400}", "[groups.small] rpd must be a finite number above zero"),
        (SMALL + "rpm = true", '[groups.small] rpm must be a number such as 3000 or "30k", not'),
        (SMALL + "rpm = [1]", '[groups.small] rpm must be a number such as 3000 or "30k", not [1]'),
        (SMALL + "rpm = {a = 1}", "[groups.small] rpm must be a number"),
        (SMALL + "rpm = 2026-01-01", "[groups.small] rpm must be a number"),
        (SMALL + 'rpm = "many"', "[groups.small] rpm: 'many' is not a number such as 3000, 30k"),
        (SMALL + 'rpm = "0"', "[groups.small] rpm: '0' is not above zero"),
        (SMALL + 'rpd = "auto"', "[groups.small] rpd must be a number; only rpm and tpm can be"),
        (SMALL + "burst_seconds = 61", "[groups.small] burst_seconds must be between 0 and 60"),
        (SMALL + 'burst_seconds = "5"', "[groups.small] burst_seconds must be between 0 and 60"),
        (SMALL + "max_in_flight = 0", "[groups.small] max_in_flight must be a whole number, 1"),
        (SMALL + "max_in_flight = 1.5", "max_in_flight must be a whole number, 1 or more, not 1.5"),
        (SMALL + "max_in_flight = true", "max_in_flight must be a whole number"),
        (
            SMALL + "[default]\nmodels = ['a']",
            "[default] takes no models: it applies to all models",
        ),
        (SMALL + "[default]\nmax_in_flight = 5", "[default] has an unknown key 'max_in_flight'"),
        (SMALL + "[default]\nrpm = 0", "[default] rpm must be a finite number above zero, not 0"),
        ("default = 3\n" + SMALL, "[default] must be a table, not 3"),
        (SMALL + "rpm = ", "is not valid TOML: Invalid value (at "),
        (SMALL + "rpm = 1\nrpm = 2", "is not valid TOML: Cannot overwrite a value (at "),
        (SMALL + f"rpm = 1{'0' * 5000}", "is not valid TOML: "),
        ("a = " + "[" * 100_000, "is nested too deeply"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_table_and_key(
    path: Path, text: str, message: str
) -> None:
    """Whatever stands there."""
    path.write_text(text)
    with pytest.raises(JobError) as caught:
        read_limits(path)
    said = str(caught.value)
    assert message in said
    assert said.startswith(f"the limits file {path}")
    assert "\n" not in said
    assert len(said) < len(str(path)) + 300


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a directory; give a TOML file"),
        (lambda path: (path.touch(), path.chmod(0)), "cannot be read: permission denied"),
        (os.mkfifo, "is not a regular file"),
        (lambda path: path.write_bytes(b"a = '\xff'"), "is not UTF-8 at byte 5"),
        (lambda path: path.write_text("a = 1\x00"), "is not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    path: Path, prepare: Callable[[Path], object], message: str
) -> None:
    """It names the file."""
    prepare(path)
    with pytest.raises(JobError) as caught:
        read_limits(path)
    assert str(caught.value).startswith(f"the limits file {path} {message}")


def test_a_name_that_no_file_can_have_is_one_sentence(path: Path) -> None:
    """As the system says it, or from Python 3.14 on as a file that is not there."""
    with pytest.raises(JobError, match=r"cannot be read: File name too long|does not exist"):
        read_limits(path.with_name("x" * 5_000))


def test_reading_that_breaks_off_is_one_sentence(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the system says."""

    def broken(_: Path) -> bytes:
        raise OSError(5, "Input/output error")

    path.write_text(SMALL)
    monkeypatch.setattr(type(path), "read_bytes", broken)
    with pytest.raises(JobError, match="cannot be read: Input/output error"):
        read_limits(path)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_anything_else_is_refused_as_such(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Never a crash."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    with pytest.raises(JobError, match=r"the limits file"):
        read_limits(path)


def test_flags_that_are_missing_are_learned_by_run_and_not_known_to_plan() -> None:
    """The others are not limited if they are not given."""
    flags = LimitFlags(rpm=500, tpd=1e6)
    assert flags.read(missing="auto") == Limits(500, "auto", tokens_per_day=1e6)
    assert flags.read(missing=None) == Limits(500, None, tokens_per_day=1e6)
    every = LimitFlags("auto", 1e6, 1, 2, 3, 4, 0.0)
    assert every.read(missing=None) == Limits("auto", 1e6, 0.0, 1, 2, 3, 4)


def test_the_fake_server_has_the_same_limits() -> None:
    """And 3,000 RPM and 2M TPM where a limit is to be learned."""
    learned = ["--rpm", "3000.000000", "--tpm", "2000000.000000"]
    assert fake_flags(Limits("auto", "auto")) == learned
    assert fake_flags(Limits(60, 6_000, requests_per_day=7, tokens_per_day=80)) == [
        *("--rpm", "60.000000"),
        *("--tpm", "6000.000000"),
        *("--rpd", "7.000000"),
        *("--tpd", "80.000000"),
    ]
    group = LimitGroup("a", ("b", "c*"), Limits(60, "auto"))
    models = [
        *("--model", "b=60.000000:2000000.000000"),
        *("--model", "c*=60.000000:2000000.000000"),
    ]
    assert fake_flags(LimitGroups((group,))) == models
    assert fake_flags(LimitGroups((group,), Limits("auto", "auto"))) == learned + models


def test_a_file_without_groups_is_a_sentence_without_a_colon(path: Path) -> None:
    """The file is its subject."""
    path.write_text("")
    with pytest.raises(JobError) as caught:
        read_limits(path)
    assert str(caught.value) == (
        f"the limits file {path} has no group; add one under [groups.NAME], or a pool under "
        f"[[pool]]"
    )
