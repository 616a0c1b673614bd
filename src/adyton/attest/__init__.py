"""Attestation: evidence of each platform, and in ``verifier/`` what judges it.

``docs/spec/attestation.md``, DESIGN section 7.
"""
