"""Tells a job once more from the files that it left: the event log, the results, the job file."""
