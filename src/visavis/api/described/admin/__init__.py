"""The description of /v1/admin."""
