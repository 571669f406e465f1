"""Where tickets live. `base` says what a store promises; one file per kind."""
