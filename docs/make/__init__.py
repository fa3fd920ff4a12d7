"""Which parts of the documentation follow from the code? Reference pages, a schema, and figures."""
