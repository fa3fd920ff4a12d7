"""Which examples does a study see?"""
