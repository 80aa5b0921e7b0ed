"""The version of avatar packs. It has a module of its own, so the service can compare it without loading NumPy."""

# It grows when the content of packs changes. A pack of another version is made again from its photo
# (avatars/service.py).
FORMAT_VERSION = 3
