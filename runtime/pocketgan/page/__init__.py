"""A page in one HTML file that draws with a model, without a server."""
