"""Quality reports of graded bars."""
