"""Records of files, and the messages that show them."""
