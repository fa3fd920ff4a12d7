"""What does a study file say?"""
