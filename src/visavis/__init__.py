"""Visavis: a self-hosted server of live avatars. docs/architecture.md describes how data flows through it."""

__version__ = "0.1.0"
