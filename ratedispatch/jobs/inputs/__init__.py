"""
The inputs that people have: files and pipes, packed or not, of requests or of rows.

Bytes in, lines and rows and requests out, one at a time. Knows nothing of jobs or of sending.
"""
