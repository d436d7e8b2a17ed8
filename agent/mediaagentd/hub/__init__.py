"""The signalling hub: the authority on calls. Knows nothing of the agent."""
