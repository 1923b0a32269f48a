"""Benchmarks in real time, against the fake server on the loopback."""
