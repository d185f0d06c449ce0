"""Train, judge and register a model: the same steps for every trigger and every environment."""
