"""What is known, and who may write it?"""
