"""What users read, and what writes and draws parts of it."""
