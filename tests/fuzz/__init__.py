"""Whatever comes in from outside: an answer, or one line, in little time and memory."""
