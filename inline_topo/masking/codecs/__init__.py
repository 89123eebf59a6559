"""Codecs turn what is hidden into tokens that are grammatical where they stand, and back."""
