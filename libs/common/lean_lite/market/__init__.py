"""What kind of thing a symbol is, and when it trades."""
