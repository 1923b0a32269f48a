"""What was learned about an account, kept for the next run: values, names and files."""
