"""The version, read by the package, by the build and by the changelog's test."""

__version__ = "0.1.0"
