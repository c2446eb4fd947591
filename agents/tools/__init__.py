"""What agents may look up, one tool a file. Tools only read."""
