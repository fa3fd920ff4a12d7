"""How is MLflow's UI served, and to whom?"""
