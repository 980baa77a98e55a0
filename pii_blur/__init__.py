"""Hides people and vehicles in 360-degree street photos and gives the metadata back."""
