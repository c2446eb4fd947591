"""Who may do what, how often: tokens, roles and permissions, rate limits."""
