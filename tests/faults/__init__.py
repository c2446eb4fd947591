"""Faults with real processes: what is killed, stopped, cut off and wiped, and that nothing is lost or done twice.

`make test-faults` runs all of them and prints one table; `FAULT_CYCLES=n` scales the number of trials.
"""
