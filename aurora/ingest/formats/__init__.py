"""Source formats: one module each, found by `registry`; a leading underscore marks shared parts."""
