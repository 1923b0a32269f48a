"""One module for each peer, run by the peer's own interpreter; see ``drive.py``."""
