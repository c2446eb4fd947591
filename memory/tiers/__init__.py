"""The tiers of memory, one file each."""
