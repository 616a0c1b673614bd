"""The native API under ``/v1/adyton/`` (``docs/spec/native-api.md``)."""
