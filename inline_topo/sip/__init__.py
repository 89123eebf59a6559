"""Read-only views over the bytes of a SIP message (RFC 3261), by production: spans, never copies."""
