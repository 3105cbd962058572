"""How a service is spoken to of which an entry of the configuration says all that is known.

`plan` reads the entry, `phrasing` phrases calls by it, and `reading` reads answers.
"""
