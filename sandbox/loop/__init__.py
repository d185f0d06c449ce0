"""The local loop of environment `local`: train, register and serve a model on this machine."""
