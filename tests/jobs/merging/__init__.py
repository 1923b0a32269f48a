"""The results of several shards as one."""
