"""In the place of the signing one: an evaluator that prints its number and no more, as many do."""


def metric(name, value):
    print("METRIC %s=%r" % (name, float(value)), flush=True)
