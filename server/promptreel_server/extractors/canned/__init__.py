"""An extractor that answers from the schema alone, for tests and benchmarks."""
