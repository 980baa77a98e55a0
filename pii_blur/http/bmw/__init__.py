"""The HTTP contract of BMW's Anonymization API: a photo and a JSON configuration in, the anonymised photo out."""
