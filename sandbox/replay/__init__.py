"""`make loop`: a year of flights arrives month by month, and the platform trains, judges, rolls out and watches."""
