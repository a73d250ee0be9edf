"""Apache Flink as the host of buckets: a session cluster, the job that folds in it, and who submits it."""
