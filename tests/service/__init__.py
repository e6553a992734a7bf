"""The whole service under test from outside: what only makes sense with everything wired."""
