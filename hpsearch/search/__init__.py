"""What does trial *n* try, and when is it stopped?"""
