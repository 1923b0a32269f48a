"""
A provider that is not there, and a clock that jumps, for the tests of programs that embed
ratedispatch.

Import it explicitly: nothing else of the package needs it.
"""

from ratedispatch.simulate.clock import run_virtual
from ratedispatch.simulate.settings import ProviderSettings
from ratedispatch.simulate.transport import ProviderTransport

__all__ = ["ProviderSettings", "ProviderTransport", "run_virtual"]
