"""How it runs: the local stack around one command."""
