"""The search of `book` as one writes it today, with PyTorch, Optuna and MLflow. It stands alone.

    python benchmarks/usual.py IMAGES.npz TRIALS

The images are ``train_x``, ``train_t``, ``validation_x`` and ``validation_t``. Trials are kept in
SQLite files in the current folder, with each epoch's metrics in MLflow.
"""

from __future__ import annotations

import sys

import mlflow
import numpy as np
import optuna
import torch
from torch import nn

EPOCHS, BATCH = 50, 100


def main(file: str, trials: int) -> None:
    """Run the search."""
    with np.load(file) as images:
        parts = {name: torch.from_numpy(images[name]) for name in images.files}
    loss = nn.CrossEntropyLoss()

    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("lr", 1e-6, 1e-2, log=True)
        weight_decay = trial.suggest_float("weight_decay", 1e-8, 1e-4, log=True)
        dropout = trial.suggest_float("dropout", 0.0, 0.5)
        torch.manual_seed(trial.number)
        layers: list[nn.Module] = []
        for width in (784, 100, 100, 100, 100, 100):
            layers += [nn.Linear(width, 100), nn.ReLU(), nn.Dropout(dropout)]
        model = nn.Sequential(*layers, nn.Linear(100, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay)
        accuracy = 0.0
        with mlflow.start_run(run_name=f"trial {trial.number}"):
            mlflow.log_params(trial.params)
            for epoch in range(1, EPOCHS + 1):
                model.train()
                for rows in torch.randperm(len(parts["train_x"])).split(BATCH):
                    optimizer.zero_grad()
                    loss(model(parts["train_x"][rows]), parts["train_t"][rows]).backward()
                    optimizer.step()
                model.eval()
                metrics = {}
                with torch.no_grad():
                    for part in ("train", "validation"):
                        logits, t = model(parts[f"{part}_x"]), parts[f"{part}_t"]
                        accuracy = (logits.argmax(1) == t).float().mean().item()
                        metrics[f"{part}_loss"] = loss(logits, t).item()
                        metrics[f"{part}_accuracy"] = accuracy
                mlflow.log_metrics(metrics, step=epoch)
                trial.report(accuracy, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return accuracy

    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_experiment("book")
    study = optuna.create_study(
        storage="sqlite:///optuna.db",
        study_name="book",
        direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=optuna.pruners.NopPruner(),
    )
    study.optimize(objective, n_trials=trials)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
