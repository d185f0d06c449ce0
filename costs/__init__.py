"""What an environment costs a month: dated prices, stated assumptions and a pure function over a plan."""
