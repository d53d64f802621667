"""The rpcs: protobuf in, protobuf out."""
