"""The tests: pytest, as root."""
