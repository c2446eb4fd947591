"""Pure foundation: no I/O, no settings, no global state. Imports nothing of Aurora."""
