"""Tables and charts of the documentation, generated from ``benchmarks/results/``."""
