"""Text generation behind one protocol: token ids in, token ids and their log-probs out."""
