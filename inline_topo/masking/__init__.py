"""What is masked, when, and how: hosts and policy decide, a strategy edits, a codec seals."""
