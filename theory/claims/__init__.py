"""One claim per file, each with the verdict it expects and a control that must come out otherwise."""
