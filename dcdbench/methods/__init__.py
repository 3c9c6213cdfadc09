"""The family of methods: one file each, registered by name."""

from dcdbench.registry import Registry

registry = Registry("methods")
register = registry.register
