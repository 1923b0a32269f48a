"""Measures the wrapped client in programs that nobody here wrote."""
