"""The family of noises that are not white and Gaussian: one file each, registered by name."""

from dcdbench.registry import Registry

registry = Registry("noises")
register = registry.register
