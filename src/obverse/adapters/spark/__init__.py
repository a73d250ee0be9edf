"""
An engine in Spark Structured Streaming: brings each bucket of profiles its slices, and keeps its state.

`cluster`, `submitting` and `settings` run with us. `job`, `operators` and `states` run in Spark's own environment, and
import pyspark, which ours lacks; `cutting`, `folding` and `shelf` run there too and import what both have.
"""
