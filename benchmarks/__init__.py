"""Benchmarks of the embedded store; ``python -m benchmarks --help``."""
