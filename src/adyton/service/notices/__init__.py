"""Telling users what happened: a durable outbox, and the webhooks that it is emptied into."""
