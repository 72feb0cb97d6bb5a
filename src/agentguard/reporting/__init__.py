"""How a report is drawn: its lines in time, as text and as HTML."""
