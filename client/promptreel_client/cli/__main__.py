"""Lets `python -m promptreel_client.cli` do what `promptreel` does."""

from promptreel_client.cli.app import main

main()
