"""What every adapter reads answers with: failures, waits, status words, media, event streams.

All of it is pure, and is handed replies whole; what is slow on many megabytes is called by
providers inside a `Compute`.
"""
