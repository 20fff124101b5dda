"""Sound: clips in, resampled and checked; files; spectrograms; what CTC models mean."""
