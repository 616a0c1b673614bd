"""Members of a namespace and what the owner lets them do (``docs/spec/grants.md``)."""
