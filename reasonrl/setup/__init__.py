"""From a recipe to objects: data, environments, models, and the roles besides the policy."""
