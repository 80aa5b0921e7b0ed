"""The port between the service and a stage: the values, the messages and the connection that carries them.

Nothing in it knows what performs and what is served. A stage on this machine and a stage on another host speak the same
messages; only the connection differs (connection.py).
"""
