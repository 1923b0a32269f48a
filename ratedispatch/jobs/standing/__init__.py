"""Reads from the files of a job, in another process, how far it is. Changes nothing."""
