"""Rotation of secrets: policies, the scheduler, and the durable steps."""
