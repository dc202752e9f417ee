"""ADAPT: how train.py is asked. It runs in the training's own process."""

from train import train


def fit(data, seconds, seed):
    global predict
    predict = train(data, seconds, seed)


def row(context):
    """256 probabilities for the next byte."""
    return list(predict(context))
