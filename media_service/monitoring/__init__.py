"""What is measured of the running service, and what is told to those who run it."""
