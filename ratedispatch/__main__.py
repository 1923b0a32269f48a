"""``python -m ratedispatch`` is the command line."""

from ratedispatch.cli import entry

if __name__ == "__main__":
    entry()
