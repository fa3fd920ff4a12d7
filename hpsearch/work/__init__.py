"""How does a study run?"""
