"""Tests. `test_<area>.py` are the founding files; the folders hold the rest, by the kind of proof."""
