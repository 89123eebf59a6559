"""The audit: what names the inside in a message that leaves, found and judged by code of its own.

It imports nothing of the masking rules and of the parser that they use (tests/audit/test_own_eyes.py),
so that it is not blind where they are. A search over all bytes comes first (search.py); then each
sighting needs an exception that explains it, a span of the message (places.py, left.py). What is not
explained is a leak, what was not read is told.
"""
