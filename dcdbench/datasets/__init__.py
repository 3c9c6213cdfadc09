"""The family of datasets: one file each, registered by name."""

from dcdbench.registry import Registry

registry = Registry("datasets")
register = registry.register
