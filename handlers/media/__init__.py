"""What the handlers share about pictures and clips: values in, values out, no files."""
