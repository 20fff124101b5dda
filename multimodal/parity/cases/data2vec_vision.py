"""TBD"""

CASES = ()
