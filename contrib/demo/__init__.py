"""A panorama to try the program on: a drawn courtyard in which photographs of two people stand on easels."""
