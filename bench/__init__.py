"""The model server beside its peers: one run, the same model, the same client, one core each."""
