"""A pool in the file of --limits: what it comes to, every mistake, and a run through it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ratedispatch.cli import main
from ratedispatch.cli.limits_file import read_limits
from ratedispatch.cli.pool_file import MemberTables
from ratedispatch.errors import JobError
from ratedispatch.jobs.plan.prices import Price
from ratedispatch.limits import Limits
from tests.cli.run_command import lines, row

if TYPE_CHECKING:
    from pathlib import Path

WEST, EAST = "sk-west-0123456789", "sk-east-0123456789"

POOL = """
[[pool]]
name = "west"
base_url = "{url}"
api_key_env = "WEST_KEY"
rpm = 60_000
tpm = "10M"
price = {{ input = 1, output = 2.5 }}

[[pool]]
name = "east"
base_url = "{url}"
api_key_env = "EAST_KEY"
rpm = "60k"
tpm = "10M"
models = {{ "gpt-4o" = "my-deployment" }}
max_in_flight = 8
price = {{ input = 3, output = 4 }}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.toml"


def run(folder: Path, *flags: str, command: str = "run", **env: str) -> Any:
    """Run the command on in.jsonl of *folder* with the pool in limits.toml."""
    words = [
        command,
        str(folder / "in.jsonl"),
        "--limits",
        str(folder / "limits.toml"),
        "--no-config",
    ]
    if command == "run":
        words += ["-o", str(folder / "out.jsonl")]
    names = {"WEST_KEY": None, "EAST_KEY": None, "OPENAI_API_KEY": None, "OPENAI_BASE_URL": None}
    return CliRunner().invoke(main, [*words, *flags], env={**names, **env})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with forty rows, and a pool in limits.toml."""
    (tmp_path / "in.jsonl").write_text("".join(row(f"r{n}") + "\n" for n in range(40)))
    (tmp_path / "limits.toml").write_text(POOL.format(url="http://127.0.0.1:9/v1"))
    return tmp_path


def test_each_table_is_a_member(path: Path) -> None:
    """With limits as those of groups are written; what is not said of RPM and TPM is learned."""
    path.write_text(
        POOL.format(url="https://a.example.com/v1")
        + '[[pool]]\nrpd = 100\naccount = "ours"\n[[pool]]\nrpd = 100\naccount = "ours"\n'
    )
    made = read_limits(path)
    assert isinstance(made, MemberTables)
    west, east, third, fourth = made
    assert (west.member.name, west.base_url, west.api_key_env) == (
        "west",
        "https://a.example.com/v1",
        "WEST_KEY",
    )
    assert west.member.limits == Limits(60_000, 10_000_000)
    assert (east.member.models, east.member.max_in_flight) == ({"gpt-4o": "my-deployment"}, 8)
    assert isinstance(east.member.price, Price)
    assert (east.member.price.input, east.member.price.output) == (3, 4)
    assert (third.member.name, fourth.member.account) == ("3", "ours")
    assert third.member.limits == Limits("auto", "auto", requests_per_day=100)
    assert made.limits == Limits("auto", "auto")  # not all are limited by the day
    assert made.price is None  # not all have one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[pool]\nrpm = 1", "pool must be written as [[pool]], once for each member"),
        ("pool = []", "pool must be written as [[pool]], once for each member"),
        ("[[pool]]\n[default]\nrpm = 1", "[[pool]] and [default] cannot be in the same file"),
        ('[[pool]]\nname = "a"\nbase = "x"', "'a' has an unknown key 'base'; did you mean base"),
        ("[[pool]]\nrpn = 1", "[[pool]] number 1 has an unknown key 'rpn'; did you mean rpm?"),
        ("[[pool]]\nname = 3", "[[pool]] 3 name must be a string, not 3"),
        ('[[pool]]\nname = "a"\n[[pool]]\nname = "a"', "two members of a pool are called 'a'"),
        ('[[pool]]\napi_key_env = ""', "[[pool]] number 1 api_key_env must be a string, not ''"),
        ('[[pool]]\nmodels = ["x"]', "[[pool]] number 1 models must be a table"),
        ('[[pool]]\nmodels = { "x" = 1 }', "number 1 models must give the name of each model"),
        ("[[pool]]\nmax_in_flight = 0", "max_in_flight must be a whole number, 1 or more, not 0"),
        ("[[pool]]\nprice = 3", "[[pool]] number 1 price must be a table"),
        ("[[pool]]\nprice = { input = 3 }", "price has no output"),
        ("[[pool]]\nprice = { in = 3 }", "has an unknown key 'in'; known keys are input, output"),
        ('[[pool]]\nprice = { input = "a", output = 1 }', "price must be numbers"),
        ("[[pool]]\nprice = { input = -1, output = 1 }", "price: the input price must be 0"),
        ('[[pool]]\naccount = "k"\nrpm = 1\n[[pool]]\naccount = "k"\nrpm = 2', "different limits"),
    ],
)  # fmt: skip
def test_every_mistake_is_one_sentence(path: Path, text: str, message: str) -> None:
    """Which names the file, the member and the key."""
    path.write_text(text)
    with pytest.raises(JobError) as caught:
        read_limits(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"the limits file {path}")
    assert "\n" not in str(caught.value)


def test_a_missing_key_names_the_member_and_the_variable(folder: Path) -> None:
    """And no key."""
    result = run(folder, WEST_KEY=WEST)
    assert result.exit_code == 2
    assert "the member 'east' of the pool: no API key: set the environment variable EAST_KEY" in (
        result.stderr
    )
    assert WEST not in result.output
    assert not (folder / "out.jsonl").exists()


def test_a_key_in_the_place_of_its_variable_is_not_shown(folder: Path) -> None:
    """It stands in the file by mistake, and in nothing that is printed."""
    text = (folder / "limits.toml").read_text()
    (folder / "limits.toml").write_text(text.replace("WEST_KEY", WEST))
    result = run(folder, EAST_KEY=EAST)
    assert result.exit_code == 2
    assert "the member 'west' of the pool" in result.stderr
    assert WEST not in result.output


@pytest.mark.parametrize("flags", [("--base-url", "http://x/v1"), ("--rpm", "3")])
def test_flags_that_each_member_has_are_refused(folder: Path, flags: tuple[str, str]) -> None:
    """By their names."""
    result = run(folder, *flags, WEST_KEY=WEST, EAST_KEY=EAST)
    assert result.exit_code == 2
    assert flags[0] in result.stderr
    assert "cannot be used together" in result.stderr


@pytest.mark.parametrize("url", ["west.example.com", "https://user:secret@x/v1"])
def test_an_address_that_is_none_names_its_member(folder: Path, url: str) -> None:
    """And the key of the file, not a flag."""
    (folder / "limits.toml").write_text(POOL.format(url=url))
    result = run(folder, WEST_KEY=WEST, EAST_KEY=EAST)
    assert result.exit_code == 2
    assert "the member 'west' of the pool: base_url" in result.stderr
    assert "secret" not in result.output


def test_a_fake_server_takes_the_place_of_all_members(folder: Path) -> None:
    """Without a key; each member has an account of its own there."""
    result = run(folder, "--fake", "--json", "-q")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    routes = report["routes"]
    assert set(routes) == {"west", "east"}
    assert sum(one["answered"] for one in routes.values()) == report["answered"] == 40
    assert report["cost_usd"] == pytest.approx(sum(one["cost_usd"] for one in routes.values()))


def test_plan_adds_the_limits_of_the_members(folder: Path) -> None:
    """And expects the price of the dearest."""
    result = run(folder, "--json", command="plan")
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    needs = {one["dimension"]: one["per_minute"] for one in plan["time"]["needs"]}
    assert needs == {"requests": 120_000, "tokens": 20_000_000}
    assert plan["groups"][0]["price"]["input"] == 3


def test_lines_have_no_key(folder: Path) -> None:
    """Nor does the job file, the log, or the page, whose limits are those of both together."""
    flags = ["--log-json", str(folder / "log"), "--report", str(folder / "page.html")]
    run(folder, "--fake", "-q", *flags)
    page = (folder / "page.html").read_text()
    assert "west: requests" in page
    assert "limit 120,000" in page
    assert len(lines(folder / "out.jsonl")) == 40
    begun, *events, _ = lines(folder / "log")
    assert [one["group"] for one in begun["limits"]] == ["west", "east"]
    assert {one["route"] for one in events} == {"west", "east"}
    for name in folder.iterdir():
        if name.is_file():
            assert b"fake-key" not in name.read_bytes()


def test_a_pool_that_is_not_there_stops_with_its_addresses(folder: Path) -> None:
    """Nothing listens at any member: what to look at are the keys of the file."""
    result = run(folder, "-q", WEST_KEY=WEST, EAST_KEY=EAST)
    assert result.exit_code == 2
    assert "check base_url (http://127.0.0.1:9/v1, http://127.0.0.1:9/v1)" in result.stderr
    assert "west was left alone (unreachable); east was left alone (unreachable)" in result.stdout
