"""Profiles in buckets: how the engines of a grown installation share out the fold, whoever hosts them."""
