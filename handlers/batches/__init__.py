"""What becomes of a batch: a manifest read, its names filled in, its items multiplied.

All of it is pure. The daemon reads the files that a batch names, and makes jobs of what comes out.
"""
