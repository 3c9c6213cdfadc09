"""From what a method has learned to signals: one file per sampler."""
