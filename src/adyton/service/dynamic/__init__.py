"""Dynamic credentials: connections, roles, leases, revocation."""
