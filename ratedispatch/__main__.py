"""``python -m ratedispatch`` is the command line."""

from ratedispatch.cli import main

if __name__ == "__main__":
    main(prog_name="ratedispatch")
