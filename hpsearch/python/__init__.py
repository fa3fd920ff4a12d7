"""How is hpsearch used from Python?"""
