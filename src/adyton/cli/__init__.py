"""The command line: it parses, calls the library, and renders. It has no rules of its own."""
