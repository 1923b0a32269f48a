"""What the live benchmarks are made of: scenarios, checks, and the programs they start."""
