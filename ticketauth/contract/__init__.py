"""The contract over HTTP: the AsyncAPI document, and a page that shows it."""
