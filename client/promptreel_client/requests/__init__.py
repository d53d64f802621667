"""What the client can ask for, one module per resource; every function makes a call as data."""
