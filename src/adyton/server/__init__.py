"""The HTTP server: parses requests, calls the service, renders answers. No rules of its own."""
