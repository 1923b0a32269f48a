"""What a program's own screen is shown of a `map`, and pictures in a notebook."""
