"""SQL types and Arrow types, batches as bytes, filters and column ranges."""
