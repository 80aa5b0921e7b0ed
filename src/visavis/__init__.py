"""Visavis: a self-hosted server of live avatars. The way of the data is drawn in docs/architecture.md."""

__version__ = "0.1.0"
