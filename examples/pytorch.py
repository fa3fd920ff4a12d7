"""A small network in PyTorch, on scikit-learn's digits: its weights are the trial's state."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

EPOCHS = 9


def train(params, seed):
    """Mini-batches of 50; PyTorch is seeded before this is called, as it is imported already."""
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, train_size=500, test_size=200, random_state=0)
    train_x, val_x = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    train_y, val_y = (torch.tensor(part) for part in parts[2:])
    model = nn.Sequential(nn.Linear(64, params["units"]), nn.ReLU(), nn.Linear(params["units"], 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=params["lr"])
    loss_of = nn.CrossEntropyLoss()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(train_x)).split(50):
            optimizer.zero_grad()
            loss_of(model(train_x[batch]), train_y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            seen = model(val_x)
            accuracy = (seen.argmax(1) == val_y).double().mean()
            yield {"val_loss": loss_of(seen, val_y), "val_accuracy": accuracy}
    return model.state_dict()
