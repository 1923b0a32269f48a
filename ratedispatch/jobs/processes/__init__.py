"""One job in several processes: the parent has the files, the children send."""
