"""Where limits are kept that several processes share: a file of this machine, or a server."""
