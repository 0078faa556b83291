"""Checks of arguments: arrays come out validated, or an InputError says what is wrong."""
