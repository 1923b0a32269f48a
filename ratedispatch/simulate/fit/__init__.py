"""Fits a modelled provider to observations: numbers, each with its interval."""
