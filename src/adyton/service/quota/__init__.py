"""Who may ask how much: rates, turns and what may be stored. Time is passed in."""
