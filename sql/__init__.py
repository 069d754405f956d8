"""The package's fixed SQL: ``migrations/NNNN_what.<store>.sql`` and ``queries/<area>[.<store>].sql``."""
