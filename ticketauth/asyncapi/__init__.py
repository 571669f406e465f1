"""The AsyncAPI document of a project, made of what runs: routing, schemes, typed consumers."""
