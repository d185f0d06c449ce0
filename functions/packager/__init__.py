"""Makes an image of an approved version: the image that trained it, with the model as one more layer."""
