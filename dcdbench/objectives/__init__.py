"""The family of objectives: one file each, registered by name."""

from dcdbench.registry import Registry

registry = Registry("objectives")
register = registry.register
