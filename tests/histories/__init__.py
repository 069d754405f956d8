"""Histories of processes that share a store while everything around them breaks, and what must hold of them."""
