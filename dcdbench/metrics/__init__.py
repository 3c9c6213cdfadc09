"""The family of metrics: one file each, registered by name."""

from dcdbench.registry import Registry

registry = Registry("metrics")
register = registry.register
