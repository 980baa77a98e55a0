"""Runs a batch over several machines. Knows nothing of what is done with a photo."""
