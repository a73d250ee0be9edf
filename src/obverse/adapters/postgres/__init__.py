"""PostgreSQL: the embedded server, the log and the profile store."""
