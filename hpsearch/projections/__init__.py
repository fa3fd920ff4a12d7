"""What do Optuna's storage and MLflow hold, and who writes it?"""
