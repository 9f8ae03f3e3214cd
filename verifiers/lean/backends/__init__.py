"""What runs Lean: each backend compiles the three modules of a proof and says what came of them."""
