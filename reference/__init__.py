"""The packages that the pii-blur of 2020 was built on, to compare our converted networks with. See README.md."""
