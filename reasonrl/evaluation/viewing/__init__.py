"""The pages of `reasonrl view RESULTS ...`: scores side by side, and the answers behind them."""
