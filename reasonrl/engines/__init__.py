"""Text generation through one protocol: token ids in, token ids and their log-probs out."""
