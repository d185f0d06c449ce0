"""A package, because a distribution that installs one of this name (`smdebug_rulesconfig`) would hide a mere folder."""
