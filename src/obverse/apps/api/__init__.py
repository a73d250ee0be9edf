"""The API: profiles and figures over HTTP."""
