"""
The outputs that people want: the answers of a job as a table, next to the columns of its input.

Lines of results and rows of an input in, a file out. Knows nothing of jobs or of sending.
"""
