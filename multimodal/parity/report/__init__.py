"""What a run of checks looks like: its document and its page."""
