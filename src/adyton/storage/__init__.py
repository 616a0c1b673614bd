"""Places for rows; one file per engine, each a ``ports.Storage``."""
