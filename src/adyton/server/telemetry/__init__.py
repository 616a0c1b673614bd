"""What operators see of the server: metrics, logs and traces. Nothing of a user is in them."""
