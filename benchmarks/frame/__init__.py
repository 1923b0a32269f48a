"""What all benchmarks share: command lines, surroundings, rounds, spreads, tables and texts."""
