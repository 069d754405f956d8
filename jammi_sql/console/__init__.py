"""The console: ``jammi-sql``."""
