"""Jobs: what is read, sent, written and gone on with."""
