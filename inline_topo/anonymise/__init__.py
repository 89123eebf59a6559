"""A capture fit for sharing: names and addresses become pseudonyms, payloads go, and a search proves it."""
