"""
Conditions as people who know SQL write them after WHERE: the same tree, in another spelling. Nothing here is ever run.

>>> as_sql(parse_sql("trait.orders >= 2 and not audience.vip"))
'trait.orders >= 2 AND NOT audience.vip'
"""

from obverse.core.conditions.sql.reading import parse_sql
from obverse.core.conditions.sql.writing import as_sql

__all__ = ("as_sql", "parse_sql")
