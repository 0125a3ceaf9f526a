"""Scripts that produce the figures quoted in docs/."""
