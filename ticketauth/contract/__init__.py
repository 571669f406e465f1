"""The pages of the contract: the AsyncAPI document, the page made of it, and the panel that tries it."""
