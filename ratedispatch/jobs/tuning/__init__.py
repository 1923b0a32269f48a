"""What a job should be changed to, with prices, accounts and services: what `tune` shows."""
