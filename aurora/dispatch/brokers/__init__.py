"""Brokers: what carries wake-ups between processes, one file each."""
