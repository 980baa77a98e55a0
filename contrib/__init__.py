"""What belongs to the project but not to the program: never imported by `pii_blur`, never in the wheel."""
