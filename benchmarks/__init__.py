"""
Benchmarks: none reads or writes the memory of the user who runs them.

What one round has learned would change the next.
"""

import os

os.environ.setdefault("RATEDISPATCH_RUN_NO_MEMORY", "1")
