"""A provider for the tests: real HTTP on loopback, where each byte of each answer can be chosen.

`server` has the server, `answers` and `chats` the shapes in which media come, `failures` the errors
as each family of servers phrases them, `faults` what goes wrong on the way, `jobs` calls that take
long.
"""
