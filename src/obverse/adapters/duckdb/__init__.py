"""DuckDB: runs queries of traits over copies of our tables, and over files; each in a process of its own."""

from obverse.adapters.duckdb.runner import DuckDbSqlSettings, open_sql_runner

__all__ = ["DuckDbSqlSettings", "open_sql_runner"]
