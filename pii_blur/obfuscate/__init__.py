"""Making what lies inside a region unrecognisable."""
