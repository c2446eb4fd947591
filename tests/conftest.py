"""What every test has."""

pytest_plugins = ["tests.plugins.no_network", "tests.plugins.no_live_model"]
