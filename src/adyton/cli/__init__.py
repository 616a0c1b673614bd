"""The command line: it parses, calls the library, and renders. It has no rules of its own."""

import gc

# Most of a short command is the loading of modules, of which nothing is garbage.
gc.set_threshold(50_000, 20, 100)
