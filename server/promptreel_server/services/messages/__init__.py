"""Domain values to and from protobuf."""
