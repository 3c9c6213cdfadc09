"""dcdbench: a benchmark of generative models learned from corrupted data."""

__version__ = "0.1.0"
