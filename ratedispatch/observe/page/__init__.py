"""Makes the page of a report: charts, captions, and the HTML around them."""
