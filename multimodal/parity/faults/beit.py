"""TBD"""

FAULTS = ()
