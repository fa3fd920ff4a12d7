"""Would it come out the same?"""
