"""The critic server: an actor and a critic behind routes that OpenAI clients know, and strategies that use both."""
