"""Pages of every list in every order, cursors and filters; a test runs once for each Listing."""
