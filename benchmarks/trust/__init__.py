"""How far off are the numbers that a search ends with, where the truth is known?"""
