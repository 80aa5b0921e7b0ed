"""The certificate with which a server speaks HTTPS without a proxy, and the local authority that can sign it
(decision 72).
"""
