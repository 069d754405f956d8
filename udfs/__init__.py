"""Functions that SQL users call, one module per theme; ``jammi_sql.engine.functions`` loads them."""

__all__: list[str] = []
