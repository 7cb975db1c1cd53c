"""Real data sets whose right answers are known: how their rows become events, and what the marts must say of them."""
