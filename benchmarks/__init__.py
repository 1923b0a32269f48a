"""
Benchmarks: none reads or writes the memory of the user who runs them.

What one round has learned would change the next. Programs that are started keep their byte code,
as installed ones have it: compiling all modules takes a tenth of a second of each run.
"""

import os

os.environ.setdefault("RATEDISPATCH_RUN_NO_MEMORY", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
