"""Who may do what: roles, signed tokens for people and services, public write keys for apps."""
