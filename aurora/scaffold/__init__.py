"""Writes new content: a working file and its test, from the templates beside this module."""
