"""The family of networks: one file each, registered by name."""

from dcdbench.registry import Registry

registry = Registry("networks")
register = registry.register
