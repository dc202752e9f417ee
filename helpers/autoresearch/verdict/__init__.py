"""When is a keep a keep: the rule, the e-process, the verdict and its words. Pure; travels to the worker whole."""
