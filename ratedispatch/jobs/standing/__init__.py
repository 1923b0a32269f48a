"""Reads the progress of a job from its files, in another process. Changes nothing."""
