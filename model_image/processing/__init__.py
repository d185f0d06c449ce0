"""The processing jobs of a model's pipeline: check the data before training, judge the model after it."""
