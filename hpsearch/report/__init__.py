"""How is a study shown?"""
