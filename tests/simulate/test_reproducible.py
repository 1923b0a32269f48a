"""The same seed gives the same events in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Refusals, faults, and a time-out that is learned while many are in flight; what a process has
#: besides differs: hashes, addresses, and the files that it may open.
_RUN = """
import sys
from ratedispatch.limits import Limits
from ratedispatch.simulate.play import play
from ratedispatch.simulate.settings import ProviderSettings
from benchmarks.sim.limiters import Chance, run_limited
from tests.dispatch.world import chat

seed = int(sys.argv[1])
kept = [bytearray(48 + 16 * (number * seed % 41)) for number in range(seed * 4_000)]
del kept[::3]
try:
    import resource
except ImportError:
    pass
else:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64 * seed, 64 * seed))

for chance in range(8):
    events = []
    options = {"listeners": [events.append]}
    run_limited(Chance(0.02), Limits("auto"), rows=150, seed=chance, status=503, options=options)
    print(*events, sep="\\n")
server = ProviderSettings(requests_per_minute=3000, faults={"reset": 0.02}, numbers=False)
played = play((chat(number) for number in range(400)), Limits(), server, keeps_events=True)
print(*played.events, sep="\\n")
print(played.outcomes, played.seconds, played.stats)
"""


def _events(seed: int) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)}
    environment["PYTHONMALLOC"] = ("pymalloc", "malloc")[seed % 2]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(seed)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_process_takes_the_same_steps() -> None:
    """Two that have nothing in common but the program tell the same events, to the digit."""
    one, other = _events(1), _events(2)
    assert len(one) > 3 * (8 * 150 + 400)
    assert one == other
