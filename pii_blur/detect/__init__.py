"""Flat pictures in, boxes out. Knows nothing of spheres or files of photos."""
