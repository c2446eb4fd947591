"""What the kernel asks of the outside, as Protocols; adapters elsewhere implement them."""
