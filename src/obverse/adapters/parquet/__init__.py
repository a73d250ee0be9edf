"""Events as Parquet files in a folder, which DuckDB, Spark, pandas and the like read as they are."""

from obverse.adapters.parquet.archive import ParquetArchiveSettings, open_archive

__all__ = ["ParquetArchiveSettings", "open_archive"]
