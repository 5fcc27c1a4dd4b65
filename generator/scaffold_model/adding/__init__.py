"""`scaffold-model add`: more of a model that is there already, scaffolded or written by hand."""
