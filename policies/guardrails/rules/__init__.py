"""The rules of the pack, one module per theme; every upper-case name bound to a rule is registered."""
