"""Reports: counts of the audit log, kept by day, and what they and the store's state tell."""
