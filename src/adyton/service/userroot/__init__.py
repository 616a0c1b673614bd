"""Users' own roots: their keys are closed while these are away (``docs/spec/userroots.md``)."""
