"""/v1/admin: what an operator does over REST, with a key of the scope `admin`. docs/reference/admin.md

The gate checks the scope and tells the audit log who acts. Nothing here is another way to do a thing: the handlers call
what the commands and the other calls of /v1 use.
"""
