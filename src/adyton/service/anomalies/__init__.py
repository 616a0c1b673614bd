"""Reads that are unusual for who reads, from where, when, and how much."""
