"""Many small problems: packed, solved and certified in compiled calls."""
