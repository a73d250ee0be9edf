"""
Conditions as people who know SQL write them after WHERE: the same tree, in another spelling. None is ever run.

`reading.parse_sql` reads one, by sqlglot, which takes a third of a second to import; `writing.as_sql` writes one.

>>> from obverse.core.conditions.sql.reading import parse_sql
>>> from obverse.core.conditions.sql.writing import as_sql
>>> as_sql(parse_sql("trait.orders >= 2 and not audience.vip"))
'trait.orders >= 2 AND NOT audience.vip'
"""
