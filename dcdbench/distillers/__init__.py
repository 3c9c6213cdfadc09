"""The family of distillers: one file each, registered by name."""

from dcdbench.registry import Registry

registry = Registry("distillers")
register = registry.register
