"""The servers that ours is compared with: one module each, with `create_app(config)`."""
