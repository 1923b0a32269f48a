"""
Tables of answers: the answers of a job next to the columns of its input.

Result lines and rows of an input in, a file out.
"""
