"""Training of the embedded detector: `python -m training.NAME` from the root of the project runs a module."""
