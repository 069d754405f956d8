"""Every example of the documentation is run, and the reference is complete."""
