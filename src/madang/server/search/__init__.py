"""Finding repositories: listings, filters, full text, facets."""
