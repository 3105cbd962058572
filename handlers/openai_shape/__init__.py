"""How servers of the OpenAI shape are spoken to: phrasing calls, reading answers, and what differs.

What differs between servers is one row each in `table`; the rest is the same for all.
"""
