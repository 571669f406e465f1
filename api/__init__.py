"""The service's HTTP surface: who may ask, how often, login and health."""
