"""Photos that lie in an object store. Knows nothing of what is done with a photo."""
