"""The version of avatar packs, on its own so that a service can compare it without the libraries that read one."""

# grows when the content changes: packs of another version are made again from their photo (avatars/service.py)
FORMAT_VERSION = 3
