"""Photos on disk: reading, writing, metadata. Knows the picture's extent on the sphere, nothing of detection."""
