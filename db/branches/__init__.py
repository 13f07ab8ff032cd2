"""The messages of a conversation as a tree, of which one path from the top to a leaf is active."""
