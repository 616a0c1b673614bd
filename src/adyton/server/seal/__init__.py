"""The server's life between sealed and open: shares, unsealing, sealing, making a store."""
