"""From measurements to signals for a model to learn from: one file per restorer."""
