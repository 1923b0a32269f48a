"""
Inputs of jobs: files and pipes, compressed or not, of requests or of rows.

Bytes in; lines, rows and requests out, one at a time.
"""
