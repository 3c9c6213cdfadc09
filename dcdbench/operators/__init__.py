"""The family of operators: one file each, registered by name."""

from dcdbench.registry import Registry

registry = Registry("operators")
register = registry.register
