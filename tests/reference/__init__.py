"""Comparisons with the packages of the original. See reference/README.md."""
