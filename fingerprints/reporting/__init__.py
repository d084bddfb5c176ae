"""Reports: plots, the HTML page, tables."""
