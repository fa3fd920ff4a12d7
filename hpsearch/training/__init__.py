"""What does a configuration train to?"""
