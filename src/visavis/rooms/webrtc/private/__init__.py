"""What this package uses of aiortc, aioice and pylibsrtp that they do not document. Only the modules here access their
private attributes; `names` lists them.
"""
