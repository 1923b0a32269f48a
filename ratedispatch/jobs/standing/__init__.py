"""How far a job is, read from its files by another process. Changes nothing."""
