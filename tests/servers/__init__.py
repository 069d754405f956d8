"""Real servers on loopback, which come from PyPI and are started by fixtures."""
