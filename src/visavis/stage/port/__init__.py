"""The port between the service and a stage: values, events, messages, and the connection that carries them.

It depends on neither side's implementation. A stage on this machine and one on another machine use the same messages;
only the connection differs (connection.py).
"""
