"""Benches: `bench_<name>.py` files with a `run()` that returns measurements. `make bench` runs them."""
