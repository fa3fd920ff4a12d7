"""Do the stores keep their promises? Read by other code than what wrote them; see ``findings``."""
