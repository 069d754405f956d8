"""The broker on NATS JetStream. Nothing but ``link`` and what it imports needs nats-py."""

from .broker import JetStreamBroker

__all__ = ["JetStreamBroker"]
