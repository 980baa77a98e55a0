"""Pure geometry of pictures on the sphere. Imports nothing of the project."""
