"""Policy losses per token, and how token losses become one number."""
