"""Adyton keeps the secrets of many users who must never see each other's."""

__version__ = "0.1.0"
