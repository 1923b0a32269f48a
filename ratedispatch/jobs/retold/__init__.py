"""Reconstructs a job from its files: the event log, the results, the job file."""
