"""From alert files to alerts: read, recognise the format, normalise, deduplicate."""
