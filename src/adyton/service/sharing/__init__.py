"""Sharing between users (``docs/spec/sharing.md``)."""
