"""Enrichers: what public knowledge says of an alert. One file a thing."""
