"""Text-driven image editing via learnable regions: a reproduction that learns, and measures."""
