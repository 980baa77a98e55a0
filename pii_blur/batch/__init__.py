"""Many photos: which ones, in what order, on how many processes, and the journal of what became of each."""
